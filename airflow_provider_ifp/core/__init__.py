"""Decisions and records, pure: values in, frozen values out.

Nothing here imports Airflow, MLflow or pandas, opens a file, or asks for the time; random generators are
handed in. The rooms, lowest first: `metrics` and `profile`; `policy`; `registry`; `drift` and `gates`;
`shadow`, and `firing`, which is one module. What all of them stand on lies beside: `errors`, `digest`,
`figures`, `windows`, `compaction`. Read `policy.model` first: all the rest is asked for there.
"""

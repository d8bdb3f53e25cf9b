"""The model registry: versions, runs, and the promotion ledger.

Read `protocol` first: what this provider needs of a registry. `mlflow` and `memory` keep it, one suite of
tests runs on both, and `ledger` writes events through it.
"""

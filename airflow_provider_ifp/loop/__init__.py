"""The loop's steps: check, train, validate, replay, move a stage. Each reads frozen records and writes one.

No Airflow here: operators, the command line and notebooks call the same functions. The rooms, lowest first:
`registry` and `drift`; `gates`; `shadow` and `train`. `labelled`, the rows that train and judge, lies beside
them. One run of the loop enters by `drift.check`, `train.training`, `gates.validate`, `shadow.gate` and
`registry.move`, in this order. Read `drift.check` first.
"""

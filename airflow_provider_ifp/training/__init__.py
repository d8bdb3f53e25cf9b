"""The run that user code sees, the processes that train and score, and what becomes of a trained object.

No Airflow; these modules run where models are made and asked, with nothing of the task but `spec.json`.
Imports adapters and core. `pyfunc` is named by every stored model, so it stays where it is. Read `run` first
(what a training function gets), then `trainer` (who calls it), `registration` and `scorer`.
"""

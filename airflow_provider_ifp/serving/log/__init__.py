"""The log's process: answered rows become files of the prediction log, and make no answer wait.

Rows wait in memory (`queue`), then on the local disk (`spool`), then become Parquet (`roll`). Read `writer`
first.
"""

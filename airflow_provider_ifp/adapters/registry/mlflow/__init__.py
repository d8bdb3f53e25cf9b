"""The registry on MLflow: an HTTP server, or a database file without one.

The only modules that import MLflow for the registry's sake; what it raises leaves as our errors. Read
`registry` first; `journals` is the write-once log that the ledger rests on.
"""

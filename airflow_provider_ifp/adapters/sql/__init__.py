"""Datasets in a database: the rows of a table or a query, with columns and window pushed down.

Touches databases through SQLAlchemy. Read `source` first. Profiles and counts that a database computes are in
`adapters.counting`.
"""

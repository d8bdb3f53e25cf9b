"""Rows into the bins of a profile: exactly what `core.profile` says, for millions of rows.

From Arrow's columns, Parquet files one column at a time, databases, and parts counted on several machines.
Read `columns` first (what is a number, a category, a list), then `counter`.
"""

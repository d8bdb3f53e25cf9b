"""Rows into the bins of a profile: exactly what `core.profile` says, for millions of rows.

Out of Arrow's columns, of Parquet files one column at a time (`parquet`), of databases (`sql`), and of parts
that several machines count. Read `columns` first (what is a number, a category, a list), then `counter`.
"""

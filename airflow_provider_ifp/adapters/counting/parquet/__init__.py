"""Count and profile Parquet files one column of one row group at a time, in little memory.

Read `columns` first.
"""

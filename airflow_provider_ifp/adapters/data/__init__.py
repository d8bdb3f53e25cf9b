"""Datasets: Parquet and CSV files under a path or URI, read by windows of time, and named by their content.

Touches file systems through Arrow alone. Read `datasets` first (which rows), then `storage` (where files
lie); `fingerprint` defines the digest `fp/1`.
"""

"""HTML pages made from records: one file each, complete without network or script, readable for years."""

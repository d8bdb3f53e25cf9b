"""HTML pages made from records: one file each, complete without network or script, readable for years.

Reads records (JSON) and nothing else. One page a module (`drift`, `verdict`, `demo`), with its charts from
`charts`. Read `page` first: what stands around each of them.
"""

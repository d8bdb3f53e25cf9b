"""Train a version: prepared, claimed, run in a process of its own, registered if it came out whole.

Read `training` first. `reproduce` does the same again for a version on record.
"""

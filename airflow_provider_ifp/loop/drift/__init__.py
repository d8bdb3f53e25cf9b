"""Hold the prediction log against what production was trained on.

Reads the log, labels and stored profiles; writes the check's page. Read `check` first: one drift check.
"""

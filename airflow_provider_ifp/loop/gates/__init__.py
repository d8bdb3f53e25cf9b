"""Judge a candidate on a holdout that was never in training.

Reads rows and asks both versions, each in a process of its own; writes the verdict. Read `validate` first.
"""

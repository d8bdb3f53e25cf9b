"""The code that makes a model, and where it runs: sources, git, interpreter and distributions.

Read `entrypoint` first: which files an entrypoint consists of.
"""

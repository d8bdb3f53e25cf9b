"""The prediction log: what was asked and answered, the labels that came later, and its upkeep.

The layout is the contract's (docs/prediction-log.md), whoever writes it. Read `schema` and `files` first.
"""

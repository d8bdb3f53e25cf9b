"""The validation gate: good enough, and no worse than production, on one holdout.

Takes both versions' answers as arrays and gives a verdict of `core.registry`. Read `judge` first.
"""

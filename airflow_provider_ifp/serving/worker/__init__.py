"""A version's process: opens it, warms it up, and answers what the front sends.

Knows the model's columns and both protocols' bodies. Read `process` first, then `answering`.
"""

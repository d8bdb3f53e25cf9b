"""Judge a candidate by production's requests: replayed, or mirrored by a server.

Reads the prediction log; writes the verdict. Read `gate` first.
"""

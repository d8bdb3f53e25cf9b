"""User code in a process of its own, without our credentials, whose whole tree ends when it is told to.

One launcher a module. Read `protocol` first, then `local`.
"""

"""The front's process: HTTP, who answers which request, and the processes behind it.

Imports nothing heavy and opens no model. Read `server` first, then `state` and `seat`.
"""

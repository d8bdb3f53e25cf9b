"""Move a stage's pointer, and know whether what is on record still holds.

Reads and writes the ledger. Read `move` first; `verify` and `audit` compare records with what is stored.
"""

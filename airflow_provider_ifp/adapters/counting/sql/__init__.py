"""Count and profile a window in the database that holds it: what travels is a row for each bin.

Read `counting` first.
"""

"""What is on record about versions: how they were built, how they moved, which verdict let them.

The ledger's rules without a store behind them. Read `lifecycle` first (what follows from the events), then
`moves` (which event may come next).
"""

"""The shadow gate: what a candidate answers to production's requests, before it answers anybody.

Takes logged rows and a holdout as arrays and gives a verdict, as `core.gates` does. Read `gate` first, then
`statistic`: disagreement counts where the holdout does not vouch for it.
"""

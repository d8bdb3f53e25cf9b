"""Metrics of a model's answers, and how sure each of them is.

Needs labels and answers as arrays, knows neither policy nor registry. Read `names` first (what a policy may
ask for), then `definitions` (what it means); `measures` is what gates hold in their hands.
"""

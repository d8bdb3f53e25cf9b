"""Did the current window move away from the reference window?

Stands on `core.profile` and takes its bounds from the policy. Read `check` first: each feature is measured,
all are judged together, and the window has one answer.
"""

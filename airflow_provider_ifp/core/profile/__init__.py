"""What a window of rows looks like: bins, the rows on them, and sums.

A reference window is profiled once (`reference`), every later window is only counted on its bins (`counts`),
and counts add up. Touches nothing but arrays. Read `record` first: the profile as it is stored.
"""

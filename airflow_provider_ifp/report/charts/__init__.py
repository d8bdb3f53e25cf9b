"""Charts as SVG, made of records: each a function from numbers to markup.

Read `svg` first: what every chart shares.
"""

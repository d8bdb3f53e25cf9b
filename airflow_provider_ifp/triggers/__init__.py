"""Waiting in the triggerer, which holds no worker slot: the drift check, and mirrored traffic.

The check is the sensor's own. Read `drift` first.
"""

"""Counts are compared to the last row, their sums but for rounding."""

from dataclasses import asdict

import pytest


def require_same_counts(found, expected, name=""):
    """Counts of one feature hold the same rows."""
    assert found.bins.tolist() == expected.bins.tolist(), name
    assert found.bins.dtype == expected.bins.dtype, name
    assert (found.missing, found.grid, found.unseen) == (expected.missing, expected.grid, expected.unseen), (
        name
    )
    if expected.moments is None or found.moments is None:
        assert found.moments == expected.moments, name
        return
    for part, value in asdict(expected.moments).items():
        # Offsets cancel: within rounding of what was added up, not of what came out.
        added = {"sum": (expected.moments.squares * expected.moments.finite) ** 0.5}.get(
            part, abs(value or 0)
        )
        same = value if value is None else pytest.approx(value, rel=1e-9, abs=added * 1e-9)
        assert getattr(found.moments, part) == same, (name, part)


def require_all_same_counts(found, expected):
    """Counts of several features, by name."""
    assert found.keys() == expected.keys()
    for name, counts in found.items():
        require_same_counts(counts, expected[name], name)

"""Bounds of a share, against scipy's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from airflow_provider_ifp.core.metrics.proportions import interval, lower_bound, rows_for, upper_bound


@given(st.integers(1, 5_000), st.data())
def test_bounds_are_clopper_and_pearsons(rows, data):
    hits = data.draw(st.integers(0, rows))
    exact = binomtest(hits, rows, alternative="less").proportion_ci(0.95, method="exact")
    assert upper_bound(hits, rows) == pytest.approx(exact.high, abs=1e-9)
    exact = binomtest(hits, rows, alternative="greater").proportion_ci(0.95, method="exact")
    assert lower_bound(hits, rows) == pytest.approx(exact.low, abs=1e-9)
    both = binomtest(hits, rows).proportion_ci(0.9, method="exact")
    assert interval(hits, rows, 0.9) == pytest.approx((both.low, both.high), abs=1e-9)


def test_without_rows_nothing_is_known():
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


@given(st.floats(1e-5, 0.5))
def test_so_many_rows_without_a_hit_show_the_share_and_one_fewer_does_not(share):
    rows = rows_for(share)
    assert upper_bound(0, rows) <= share * (1 + 1e-9)
    assert rows == 1 or upper_bound(0, rows - 1) > share * (1 - 1e-9)

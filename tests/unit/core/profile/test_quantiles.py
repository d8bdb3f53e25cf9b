"""Quantiles out of order statistics are NumPy's, to the last bit."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from airflow_provider_ifp.core.profile.numeric_bins import needed_ranks
from airflow_provider_ifp.core.profile.quantiles import finite_quantiles, ranks_of
from airflow_provider_ifp.core.profile.reference import profile_numbers

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARES = np.concatenate([np.arange(1, 1000) / 1000, [0.0, 1.0, 1 / 3]])


@given(hnp.arrays(float, st.integers(1, 60), elements=FINITE))
def test_quantiles_are_those_of_numpy_to_the_same_float(values):
    ordered = np.sort(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.quantile(ordered, SHARES)
    expected = np.where(np.isfinite(expected), expected, np.nan)
    found = finite_quantiles(len(ordered), SHARES, ordered.__getitem__)
    assert found.tolist() == expected[~np.isnan(expected)].tolist()


@given(st.integers(1, 10**12))
def test_the_ranks_needed_lie_among_the_values_and_hold_those_of_every_share(rows):
    needed = needed_ranks(rows)
    assert needed[0] >= 0
    assert needed[-1] < rows
    below, above = ranks_of(rows, np.arange(1, 10) / 10)
    assert set(below) | set(above) <= set(needed)


def test_of_no_values_there_is_no_quantile():
    assert len(finite_quantiles(0, SHARES, np.empty(0).__getitem__)) == 0
    assert len(needed_ranks(0)) == 0
    assert profile_numbers("x", np.array([np.nan])).edges == ()

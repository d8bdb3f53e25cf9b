"""Distances from histograms hold what they state: scipy's on the rows lies within the bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from airflow_provider_ifp.core.drift.chance import chance
from airflow_provider_ifp.core.drift.distances import jensen_shannon, kolmogorov_smirnov, wasserstein
from airflow_provider_ifp.core.profile.counting import coarsen, count_numbers
from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.curve import curve_of
from airflow_provider_ifp.core.profile.reference import profile_numbers
from airflow_provider_ifp.core.profile.summary import QUANTILES, summarize_numbers

# A profile of a thousand edges takes its time on a busy machine.
patient = settings(deadline=None, max_examples=60)
tied = st.integers(-5, 5).map(float)
finite = st.lists(tied | st.floats(-1e3, 1e3), min_size=1, max_size=60)
any_number = st.lists(
    tied | st.floats(-1e3, 1e3) | st.sampled_from([np.inf, -np.inf]), min_size=1, max_size=60
)
grids = st.sampled_from(["fine", "coarse", "deciles"])
bins = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=15)


@patient
@given(any_number, any_number, grids)
def test_ks_of_the_rows_lies_between_the_value_and_the_value_plus_its_bound(reference, current, grid):
    feature = profile_numbers("x", np.array(reference))
    found = kolmogorov_smirnov(feature, count_numbers(feature, np.array(current), grid))
    with np.errstate(divide="ignore"):  # scipy's p-value of two rows
        exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert found.value - 1e-12 <= exact <= found.value + found.bound + 1e-12


@patient
@given(finite, finite, grids)
def test_wasserstein_of_the_rows_lies_within_the_bound(reference, current, grid):
    feature = profile_numbers("x", np.array(reference))
    deviation = np.std(reference)
    found = wasserstein(feature, count_numbers(feature, np.array(current), grid))
    if found is None:
        assert deviation == pytest.approx(0, abs=1e-6)
    elif deviation > 1e-6:
        exact = stats.wasserstein_distance(reference, current) / deviation
        assert abs(found.value - exact) <= found.bound + 1e-6 * (1 + exact)


@given(bins)
def test_jensen_shannon_is_scipys_to_base_two(pairs):
    before, now = np.array(pairs).T
    if before.sum() and now.sum():
        found = jensen_shannon(Counts(before[1:], int(before[0])), Counts(now[1:], int(now[0])))
        # scipy takes the root of a small negative number for equal shares.
        expected = np.nan_to_num(jensenshannon(before, now, base=2))
        assert found == pytest.approx(expected, abs=1e-7)


@given(st.lists(st.tuples(st.integers(40, 500), st.integers(40, 500)), min_size=2, max_size=15))
def test_the_chi_square_is_scipys_where_no_bin_is_rare(pairs):
    before, now = np.array(pairs).T
    if min(before) >= 10 * max(1, before.sum() / now.sum()):
        expected = stats.chi2_contingency(np.array([before, now]), correction=False).pvalue
        assert chance(Counts(before, 0), Counts(now, 0)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rows", [500, 20_000])
def test_on_the_fine_grid_of_many_rows_the_bounds_are_small(rows):
    rng = np.random.default_rng(0)
    reference, current = rng.normal(size=50_000), rng.normal(0.1, 1.05, size=rows)
    feature = profile_numbers("x", reference)
    counts = count_numbers(feature, current)
    ks, distance = kolmogorov_smirnov(feature, counts), wasserstein(feature, counts)
    exact = stats.ks_2samp(reference, current, method="asymp")
    assert ks.value == pytest.approx(exact.statistic, abs=0.001)
    assert ks.bound <= 0.001 + 1e-9
    assert np.log10(ks.p_value) == pytest.approx(np.log10(exact.pvalue), rel=0.02)
    expected = stats.wasserstein_distance(reference, current) / reference.std()
    assert distance.value == pytest.approx(expected, abs=0.001)
    assert distance.bound < 0.01


def test_what_chance_gives_on_average_is_what_it_gives():
    rng = np.random.default_rng(1)
    feature = profile_numbers("x", rng.normal(size=50_000))
    draws = [count_numbers(feature, rng.normal(size=400)) for _ in range(150)]
    for distance in (kolmogorov_smirnov, wasserstein):
        found = [distance(feature, counts) for counts in draws]
        assert np.mean([one.value for one in found]) == pytest.approx(found[0].by_chance, rel=0.12)


def test_an_open_tail_is_measured_by_its_sum():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=20_000)
    current = np.concatenate([rng.normal(size=1_980), np.full(20, 1e3)])
    feature = profile_numbers("x", reference)
    exact = stats.wasserstein_distance(reference, current) / reference.std()
    assert exact > 9
    for grid in ("fine", "coarse"):
        found = wasserstein(feature, count_numbers(feature, current, grid))
        assert found.value == pytest.approx(exact, abs=0.02)


def test_infinities_do_not_spoil_the_distance_of_the_finite_ones():
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=5_000), rng.normal(0.5, size=2_000)
    feature = profile_numbers("x", np.append(reference, np.inf))
    found = wasserstein(feature, count_numbers(feature, np.append(current, [-np.inf, np.inf])))
    assert found.value == pytest.approx(stats.wasserstein_distance(reference, current), abs=0.02)


def test_a_constant_has_no_wasserstein_and_an_empty_window_no_distance():
    constant = profile_numbers("x", np.full(50, 3.0))
    assert wasserstein(constant, count_numbers(constant, np.arange(5.0))) is None
    assert kolmogorov_smirnov(constant, count_numbers(constant, np.arange(5.0))).value == pytest.approx(0.6)
    assert kolmogorov_smirnov(constant, count_numbers(constant, np.full(3, np.nan))) is None


@patient
@given(finite)
def test_a_curve_never_falls(reference):
    feature = profile_numbers("x", np.array(reference))
    curve = curve_of(feature, feature.counts)
    steps = np.column_stack([curve.left, curve.right]).ravel()
    assert (np.diff(steps, prepend=0, append=1) >= -1e-12).all()


@patient
@given(st.lists(st.floats(-1e3, 1e3), min_size=30, max_size=60))
def test_quantiles_lie_in_the_bin_where_the_rows_own_quantile_lies(reference):
    feature = profile_numbers("x", np.array(reference))
    found = summarize_numbers(feature, feature.counts).quantiles["reference"]
    ranked, edges = np.sort(reference), np.array([-np.inf, *feature.edges, np.inf])
    for name, share in QUANTILES.items():
        place = share * len(ranked)
        low, high = ranked[max(int(place) - 2, 0)], ranked[min(int(place) + 1, len(ranked) - 1)]
        assert edges[np.searchsorted(edges, low) - 1] <= found[name] <= edges[np.searchsorted(edges, high)]


def test_the_chi_square_counts_right_where_the_bins_are_as_rare_as_they_can_be():
    """Equal bins of the reference must not be sorted by the current window's luck."""
    rng = np.random.default_rng(4)
    feature = profile_numbers("x", rng.normal(size=50_000))
    before = coarsen(feature, feature.counts, "coarse")
    for rows in (25, 50, 80, 200):
        windows = [count_numbers(feature, rng.normal(size=rows), "coarse") for _ in range(600)]
        p_values = np.array([chance(before, window) for window in windows])
        assert np.mean(p_values < 0.05) == pytest.approx(0.05, abs=0.03)


def test_missing_values_that_take_the_place_of_one_value_are_not_pooled_away():
    before = Counts(np.array([500_000, 500_000]), missing=0)
    assert chance(before, Counts(np.array([200, 500]), missing=300)) < 1e-9

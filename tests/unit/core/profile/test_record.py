"""Bins and PSI: the contract's section 9, word by word."""

import json
import math
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.core.drift.chance import adjusted, chance
from airflow_provider_ifp.core.drift.psi import effect, effect_error, expected_by_chance, psi
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import (
    coarsen,
    count_categories,
    count_numbers,
    merge,
    no_rows,
)
from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import (
    measure_lists,
    profile_categories,
    profile_lists,
    profile_numbers,
    rebase,
)

# A profile of a thousand edges takes its time on a busy machine.
patient = settings(deadline=None, max_examples=60)
coarse = st.integers(-5, 5).map(float)
values = st.lists(coarse | st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=60)
words = st.lists(st.sampled_from("abcdefg"), max_size=40)


def literal_psi(reference, current):
    """Section 9, written a second time: one row after the other, with nothing shared but the quantiles."""
    present = [value for value in reference if not math.isnan(value)]
    atoms = {v for v in present if sum(v == other for other in present) * 10 >= len(present)}
    edges = []
    if present:
        ranked = sorted(present)
        for tenth in range(1, 10):
            place = tenth / 10 * (len(ranked) - 1)
            low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
            edge = low if low == high else float(np.quantile(ranked, tenth / 10))
            if math.isfinite(edge):
                edges.append(edge)

    def place_of(value):
        if math.isnan(value):
            return "missing"
        if value in atoms:
            return ("atom", value)
        return ("bin", sum(edge < value for edge in set(edges)))

    before, now = Counter(map(place_of, reference)), Counter(map(place_of, current))
    total = 0.0
    for place in before | now:
        share, other = (max(c[place] / c.total(), 1e-4) for c in (before, now))
        total += (other - share) * math.log(other / share)
    return total


@patient
@given(values, values)
def test_psi_of_numbers_is_the_contracts_sum_row_by_row(reference, current):
    with np.errstate(invalid="ignore", over="ignore"):
        expected = literal_psi(reference, current)
    feature = profile_numbers("x", np.array(reference))
    found = psi(feature, count_numbers(feature, np.array(current)))
    assert found == pytest.approx(expected, abs=1e-12)


def same(one, other):
    """Compare counts: integers exactly, float sums but for rounding."""
    assert np.array_equal(one.bins, other.bins)
    assert (one.missing, one.grid, one.unseen) == (other.missing, other.grid, other.unseen)
    for key, value in asdict(other.moments).items():
        exact = not isinstance(value, float) or key in ("smallest", "largest")
        found = getattr(one.moments, key)
        assert found == value if exact else found == pytest.approx(value, rel=1e-9, abs=1e-6)


small = st.lists(coarse | st.floats(-1e3, 1e3) | st.sampled_from([np.nan, np.inf, -np.inf]), max_size=60)


@patient
@given(
    values, small, st.lists(st.integers(0, 60), max_size=5), st.sampled_from(["fine", "coarse", "deciles"])
)
def test_counts_of_parts_add_up_to_the_counts_of_the_whole_whatever_the_split(reference, current, cuts, grid):
    feature = profile_numbers("x", np.array(reference))
    parts = np.split(np.array(current, dtype=float), sorted(cuts))
    whole = count_numbers(feature, np.array(current, dtype=float), grid)
    same(merge(feature, [count_numbers(feature, part, grid) for part in reversed(parts)], grid), whole)
    assert whole.rows == len(current)


@patient
@given(values, values)
def test_a_coarser_grid_is_the_sum_of_a_finer_one(reference, current):
    feature = profile_numbers("x", np.array(reference))
    fine = count_numbers(feature, np.array(current))
    for grid in ("coarse", "deciles"):
        counted = count_numbers(feature, np.array(current), grid)
        assert np.array_equal(coarsen(feature, fine, grid).bins, counted.bins)
    assert np.array_equal(coarsen(feature, coarsen(feature, fine, "coarse"), "deciles").bins, counted.bins)
    with pytest.raises(DatasetError, match="found 'deciles', which is coarser"):
        coarsen(feature, counted, "fine")


@patient
@given(values)
def test_the_contracts_deciles_are_among_the_edges_to_the_same_float(reference):
    present = np.array([value for value in reference if not math.isnan(value)])
    deciles = profile_numbers("x", np.array(reference)).cuts("deciles")
    if len(present) and np.isfinite(present).all():
        expected = np.unique(np.quantile(present, np.arange(1, 10) / 10))
        assert deciles == tuple((expected + 0.0).tolist())


@given(words, words, words)
def test_counts_of_categories_add_up_too(reference, one, other):
    feature = profile_categories("c", Counter(reference), missing=1)
    together = count_categories(feature, Counter(one) + Counter(other), missing=3)
    apart = count_categories(feature, Counter(one), missing=1) + count_categories(feature, Counter(other), 2)
    assert together == apart
    assert together.rows == len(one) + len(other) + 3


@patient
@given(values)
def test_the_reference_against_itself_has_psi_zero(reference):
    feature = profile_numbers("x", np.array(reference))
    assert count_numbers(feature, np.array(reference)) == feature.counts
    assert psi(feature, feature.counts) == 0


@patient
@given(values, values)
def test_psi_is_never_negative(reference, current):
    feature = profile_numbers("x", np.array(reference))
    assert psi(feature, count_numbers(feature, np.array(current))) >= 0


@patient
@given(values)
def test_a_profile_comes_back_from_json_bit_for_bit(reference):
    numbers = profile_numbers("x", np.array(reference))
    lists = profile_lists("v", np.outer(np.nan_to_num(reference, posinf=0, neginf=0), [1.0, 2.0]))
    words = profile_categories("c", {"a": 2, "b": 1}, missing=0)
    answers = (profile_numbers("prediction", np.array(reference)),)
    profile = Profile((numbers, words, lists), rows=len(reference), predictions=answers)
    text = json.dumps(profile.to_json(), allow_nan=False)
    assert Profile.from_json(json.loads(text)) == profile


def test_edges_are_right_closed_and_the_outer_bins_take_infinities():
    feature = profile_numbers("x", np.arange(0.0, 101.0))
    assert feature.cuts("deciles") == (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
    counts = count_numbers(feature, np.array([10.0, 10.000001, -np.inf, np.inf, 1e300]), "deciles")
    assert counts.bins.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]


def test_a_value_that_makes_a_tenth_has_a_bin_of_its_own_and_is_counted_in_no_other():
    rest = np.arange(1.0, 91.0)
    feature = profile_numbers("amount", np.concatenate([np.zeros(10), rest]))
    assert feature.atoms == (0.0,)
    assert feature.atom_rows == (10,)
    assert sum(feature.interval_rows) == 90
    one_less = profile_numbers("amount", np.concatenate([np.zeros(9), rest]))
    assert one_less.atoms == ()


def test_minus_zero_is_zero():
    feature = profile_numbers("x", np.array([-0.0, 0.0, 1.0]))
    assert feature.atoms == (0.0, 1.0)
    assert math.copysign(1, feature.atoms[0]) == 1


def test_missing_values_have_a_bin_and_shares_are_of_all_rows():
    feature = profile_numbers("x", np.array([0.0, 1.0] * 50))
    current = count_numbers(feature, np.array([0.0] * 40 + [1.0] * 40 + [np.nan] * 20))
    expected = 2 * (0.4 - 0.5) * math.log(0.4 / 0.5) + (0.2 - 1e-4) * math.log(0.2 / 1e-4)
    assert psi(feature, current) == pytest.approx(expected)


def test_only_the_fifty_most_frequent_categories_have_bins_ties_by_text():
    rows = {f"v{index:03}": 5 for index in range(60)}
    feature = profile_categories("c", rows, missing=0)
    assert feature.names[:2] == ("v000", "v001")
    assert feature.counts == Counts(np.array([5] * 50 + [50, 0]), missing=0)
    seen = count_categories(feature, {"v049": 1, "v050": 2, "new": 4}, missing=0)
    assert seen.bins[49:].tolist() == [1, 2, 4]
    assert seen.unseen == {"new": 4}


def test_past_ten_thousand_names_an_unknown_value_counts_with_the_others():
    feature = profile_categories("c", {f"{index:05}": 1 for index in range(10_001)}, missing=0)
    assert len(feature.names) == 10_000
    assert feature.beyond == 1
    assert count_categories(feature, {"10000": 1, "new": 1}, missing=0).bins[-2:].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda record: record | {"format": "ifp.profile/9"}, "found 'ifp.profile/9'"),
        (lambda record: record | {"rows": -1}, "rows: Input should be greater than or equal to 0"),
        (lambda record: record | {"more": 1}, "more: "),
        (lambda record: record | {"features": record["features"] * 2}, "two features have the same name"),
        (lambda record: record["features"][0].update(edges=[2.0, 1.0]) or record, "ascending"),
        (lambda record: record["features"][0].update(edges=[float("nan")]) or record, "finite"),
        (lambda record: record["features"][0].pop("missing") and record, "missing"),
        (lambda record: [record], "found 'list'"),
    ],
)
def test_a_damaged_profile_is_refused_with_the_place_and_the_next_step(damage, said):
    record = Profile((profile_numbers("x", np.array([0.0, np.nan])),), rows=2).to_json()
    record["features"][0]["missing"] = 1
    with pytest.raises(DatasetError) as caught:
        Profile.from_json(damage(record), where="ifp/profile.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("ifp/profile.json: ")
    assert "ifp profile DATASET" in str(caught.value)


def test_counts_on_other_bins_are_refused():
    feature = profile_numbers("x", np.arange(20.0))
    with pytest.raises(DatasetError, match="count both parts against the same profile"):
        Counts(np.array([1]), missing=0) + feature.counts
    with pytest.raises(DatasetError, match="expected counts on the profile's 10 deciles bins, found 1"):
        psi(feature, Counts(np.array([1]), missing=0, grid="deciles"))
    with pytest.raises(DatasetError, match="a window without rows has no PSI"):
        psi(feature, no_rows(feature))


def test_expected_by_chance_is_what_chance_gives_on_average():
    rng = np.random.default_rng(0)
    feature = profile_numbers("x", rng.normal(size=20_000))
    drawn = [count_numbers(feature, rng.normal(size=2_000)) for _ in range(200)]
    before = coarsen(feature, feature.counts, "deciles")
    mean = np.mean([psi(feature, counts) for counts in drawn])
    assert mean == pytest.approx(expected_by_chance(before, coarsen(feature, drawn[0], "deciles")), rel=0.1)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_error_of_the_effect_is_the_spread_of_the_effect(shift):
    rng = np.random.default_rng(0)
    feature = profile_numbers("x", rng.normal(size=50_000))
    before = coarsen(feature, feature.counts, "coarse")
    drawn = [count_numbers(feature, rng.normal(shift, size=2_000), "coarse") for _ in range(300)]
    spread = np.std([effect(before, now) for now in drawn])
    assert spread == pytest.approx(np.mean([effect_error(before, now) for now in drawn]), rel=0.15)


def test_the_chi_square_cries_wolf_as_often_as_it_says():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(400):
        feature = profile_numbers("x", rng.normal(size=1_000))
        now = count_numbers(feature, rng.normal(size=500), "coarse")
        p_values.append(chance(coarsen(feature, feature.counts, "coarse"), now))
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_keep_their_order_and_never_shrink(p_values):
    found = adjusted(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, found, strict=True))
    ordered = [q for _, q in sorted(zip(p_values, found, strict=True))]
    assert ordered == sorted(ordered)


def test_the_profile_of_25_columns_of_numbers_stays_under_a_megabyte():
    rng = np.random.default_rng(0)
    features = tuple(profile_numbers(f"x{index}", rng.normal(size=100_000)) for index in range(25))
    assert len(features[0].edges) == 999
    assert len(json.dumps(Profile(features, rows=100_000).to_json())) < 750_000


@patient
@given(small)
def test_counts_come_back_from_json_as_they_were(current):
    feature = profile_numbers("x", np.arange(20.0))
    counts = count_numbers(feature, np.array(current, dtype=float))
    assert Counts.from_json(json.loads(json.dumps(counts.to_json(), allow_nan=False))) == counts


def test_damaged_counts_are_refused_with_the_place():
    record = no_rows(profile_numbers("x", np.arange(20.0))).to_json()
    with pytest.raises(DatasetError, match=r"hour 7: damaged: missing: .* count the part again"):
        Counts.from_json(record | {"missing": -1}, where="hour 7")


def test_moments_tell_infinities_extremes_and_what_lies_outside_the_reference():
    feature = profile_numbers("x", np.arange(0.0, 101.0))
    moments = count_numbers(feature, np.array([-np.inf, -5.0, 50.0, 102.0, np.nan])).moments
    assert (moments.finite, moments.minus_infinite, moments.plus_infinite) == (3, 1, 0)
    assert (moments.under, moments.over) == (2, 1)
    assert (moments.smallest, moments.largest) == (-5.0, 102.0)
    assert moments.sum == -5 - 50 + 0 + 52
    assert moments.shortfall == feature.edges[0] + 5
    assert moments.excess == pytest.approx(102 - feature.edges[-1])


def test_a_window_that_becomes_the_reference_keeps_its_rows_and_takes_the_nearest_edges_as_deciles():
    rng = np.random.default_rng(3)
    old = profile_numbers("x", rng.normal(size=50_000))
    window, later = rng.normal(0.4, 1.2, size=(2, 20_000))
    new = rebase(old, count_numbers(old, window))
    own = profile_numbers("x", window)
    assert (new.edges, new.counts.rows) == (old.edges, 20_000)
    assert psi(new, count_numbers(new, later)) == pytest.approx(
        psi(own, count_numbers(own, later)), abs=0.002
    )
    shares = np.cumsum(coarsen(new, new.counts, "deciles").bins)[:-1] / 20_000
    assert shares == pytest.approx(np.arange(1, 10) / 10, abs=0.002)


def test_lists_are_measured_by_their_norm_and_their_principal_axes():
    rng = np.random.default_rng(4)
    lists = rng.normal(size=(2_000, 8)) * [9, 5, 3, 2, 0.1, 0.1, 0.1, 0.1]
    feature = profile_lists("v", lists)
    assert np.abs(np.array(feature.axes)).argmax(axis=1).tolist() == [0, 1, 2, 3]
    lists[0, 3] = np.nan
    norm, first, *_ = measure_lists(feature, lists)
    assert math.isnan(norm[0])
    assert math.isnan(first[0])
    assert norm[1] == pytest.approx(np.linalg.norm(lists[1]))
    assert first[1] == pytest.approx(lists[1, 0] - feature.centre[0], abs=0.7)

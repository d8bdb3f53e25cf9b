"""Bins and PSI: the contract's section 9, word by word."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile import (
    Profile,
    count_categories,
    count_numbers,
    no_rows,
    profile_categories,
    profile_numbers,
)
from airflow_provider_ifp.core.psi import Counts, adjusted, chance, expected_by_chance, psi

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


@given(values, values)
def test_psi_of_numbers_is_the_contracts_sum_row_by_row(reference, current):
    with np.errstate(invalid="ignore", over="ignore"):
        expected = literal_psi(reference, current)
    feature = profile_numbers("x", np.array(reference))
    found = psi(feature, count_numbers(feature, np.array(current)))
    assert found == pytest.approx(expected, abs=1e-12)


@given(values, values, st.data())
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(reference, current, data):
    cut = data.draw(st.integers(0, len(current)))
    feature = profile_numbers("x", np.array(reference))
    parts = (count_numbers(feature, np.array(part, dtype=float)) for part in (current[:cut], current[cut:]))
    whole = count_numbers(feature, np.array(current))
    assert sum(parts, no_rows(feature)) == whole
    assert whole.rows == len(current)


@given(words, words, words)
def test_counts_of_categories_add_up_too(reference, one, other):
    feature = profile_categories("c", Counter(reference), missing=1)
    together = count_categories(feature, Counter(one) + Counter(other), missing=3)
    apart = count_categories(feature, Counter(one), missing=1) + count_categories(feature, Counter(other), 2)
    assert together == apart
    assert together.rows == len(one) + len(other) + 3


@given(values)
def test_the_reference_against_itself_has_psi_zero(reference):
    feature = profile_numbers("x", np.array(reference))
    assert count_numbers(feature, np.array(reference)) == feature.counts
    assert psi(feature, feature.counts) == 0


@given(values, values)
def test_psi_is_never_negative(reference, current):
    feature = profile_numbers("x", np.array(reference))
    assert psi(feature, count_numbers(feature, np.array(current))) >= 0


@given(values)
def test_a_profile_comes_back_from_json_bit_for_bit(reference):
    numbers = profile_numbers("x", np.array(reference))
    profile = Profile((numbers, profile_categories("c", {"a": 2, "b": 1}, missing=0)), rows=len(reference))
    text = json.dumps(profile.to_json(), allow_nan=False)
    assert Profile.from_json(json.loads(text)) == profile


def test_edges_are_right_closed_and_the_outer_bins_take_infinities():
    feature = profile_numbers("x", np.arange(0.0, 101.0))
    assert feature.edges == (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
    counts = count_numbers(feature, np.array([10.0, 10.000001, -np.inf, np.inf, 1e300]))
    assert counts.bins == (2, 1, 0, 0, 0, 0, 0, 0, 0, 2)


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
    assert feature.counts == Counts((5,) * 50 + (50, 0), missing=0)
    seen = count_categories(feature, {"v049": 1, "v050": 2, "new": 4}, missing=0)
    assert seen.bins[49:] == (1, 2, 4)


def test_past_ten_thousand_names_an_unknown_value_counts_with_the_others():
    feature = profile_categories("c", {f"{index:05}": 1 for index in range(10_001)}, missing=0)
    assert len(feature.names) == 10_000
    assert feature.beyond == 1
    assert count_categories(feature, {"10000": 1, "new": 1}, missing=0).bins[-2:] == (2, 0)


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
        Counts((1,), missing=0) + feature.counts
    with pytest.raises(DatasetError, match="expected counts on the profile's 10 bins, found 1"):
        psi(feature, Counts((1,), missing=0))
    with pytest.raises(DatasetError, match="a window without rows has no PSI"):
        psi(feature, no_rows(feature))


def test_expected_by_chance_is_what_chance_gives_on_average():
    rng = np.random.default_rng(0)
    feature = profile_numbers("x", rng.normal(size=20_000))
    drawn = [count_numbers(feature, rng.normal(size=2_000)) for _ in range(200)]
    mean = np.mean([psi(feature, counts) for counts in drawn])
    assert mean == pytest.approx(expected_by_chance(feature.counts, drawn[0]), rel=0.1)


def test_the_chi_square_cries_wolf_as_often_as_it_says():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(400):
        feature = profile_numbers("x", rng.normal(size=1_000))
        p_values.append(chance(feature.counts, count_numbers(feature, rng.normal(size=500))))
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_keep_their_order_and_never_shrink(p_values):
    found = adjusted(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, found, strict=True))
    ordered = [q for _, q in sorted(zip(p_values, found, strict=True))]
    assert ordered == sorted(ordered)

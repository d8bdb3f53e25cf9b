"""Slices of the holdout: a group that suffers is found, and an equal model is not rejected by small ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.gates.slices import holm, slice_checks, unseen_slices
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Measures, Rows

REGION = np.repeat([f"r{place}" for place in range(20)], 150)


def rows_of(seed, worse=0.0, where="r3"):
    """Two equally good models; the candidate is worse by so much in one region."""
    rng, count = np.random.default_rng(seed), len(REGION)
    label = rng.normal(0, 10, count)
    both = label + rng.normal(0, 2, count)
    candidate = both + rng.normal(0, 1, count) + worse * (where == REGION)
    return Rows(label=label, candidate=Answers(candidate), production=Answers(both + rng.normal(0, 1, count)))


def checked(rows, *, metric="rmse", tolerance=0.0, min_rows=100, slices=None, measures=None):
    return slice_checks(
        rows,
        slices or {"region": REGION[: len(rows)]},
        metric=metric,
        measures=measures or Measures(),
        tolerance=tolerance,
        min_rows=min_rows,
    )


def test_the_slice_that_suffers_fails_in_numbers_and_stands_first():
    checks, warnings = checked(rows_of(1, worse=3.0))
    assert warnings == ()
    assert [check.slice for check in checks if check.verdict == "fail"] == ["region=r3"]
    first = checks[0]
    assert (first.name, first.slice, first.rows, first.finding) == ("slice", "region=r3", 150, "worse")
    assert first.reason.startswith("region=r3: rmse ")
    assert "beyond chance (p " in first.reason
    assert " over 20 slices), tolerance 0" in first.reason
    low, high = first.interval
    assert low < high < 0


def test_of_twenty_equal_slices_hardly_one_is_rejected_by_luck():
    failed = sum(any(check.verdict == "fail" for check in checked(rows_of(seed))[0]) for seed in range(100))
    # The level is 5 in 100; 12 or more of 100 would have a chance of 1 in 250.
    assert failed <= 12


def test_within_the_tolerance_a_worse_slice_passes():
    rows = rows_of(1, worse=3.0)
    assert {check.verdict for check in checked(rows, tolerance=-5.0)[0]} == {"pass"}


def test_small_slices_are_left_out_and_those_without_an_answer_are_named():
    label = np.array([1, 0] * 100 + [1] * 100)
    answers = Answers(label.copy())
    rows = Rows(label=label, candidate=answers, production=answers)
    slices = {"kind": np.array(["both"] * 200 + ["one"] * 60 + ["small"] * 40)}
    checks, warnings = checked(rows, metric="f1", min_rows=50, slices=slices)
    assert [(check.slice, check.verdict) for check in checks] == [("kind=both", "pass")]
    [warning] = warnings
    assert warning.startswith("slice kind=one is not judged: f1 needs both classes")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_values_keep_order_and_never_shrink(chances):
    adjusted = holm(chances)
    assert all(one >= other for one, other in zip(adjusted, chances, strict=True))
    assert max(adjusted) <= 1
    order = np.argsort(chances, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1, len(chances) * min(chances)))


def test_what_the_holdout_lacks_is_named_by_its_requests_the_most_frequent_first():
    there = {"carrier": np.array(["UA", "DL"]), "day": np.array(["mon", "mon"])}
    traffic = {"carrier": {"HA": 118, "UA": 900, "YV": 300}, "day": {"mon": 5}}
    assert unseen_slices(traffic, there) == (
        "carrier=YV: 300 of 1,318 requests in the prediction log, and no row in the holdout",
        "carrier=HA: 118 of 1,318 requests in the prediction log, and no row in the holdout",
    )
    many = unseen_slices({"carrier": {f"c{place}": 1 for place in range(12)}}, there)
    assert many[-1] == "carrier: 2 more values that the holdout does not have"

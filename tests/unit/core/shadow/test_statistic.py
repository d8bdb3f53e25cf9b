"""Disagreement: what the holdout vouches for, what it does not, and where."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.shadow.worlds import make_world

from airflow_provider_ifp.core.errors import DatasetError, ModelError, PolicyError
from airflow_provider_ifp.core.metrics.proportions import upper_bound
from airflow_provider_ifp.core.shadow.statistic import measure_disagreement
from airflow_provider_ifp.core.shadow.windows import window_size


def measured(world, **settings_):
    return measure_disagreement(*world.arguments(), **settings_)


def of_carrier(*names):
    return lambda features: np.isin(features["carrier"].astype(str), names)


def in_box(features):
    return (np.abs(features["x"] - 0.5) < 0.32) & (np.abs(features["z"] - 50) < 11)


def permuted(answers):
    return np.random.default_rng(1).permutation(answers)


def test_a_retrained_candidate_that_differs_on_most_requests_passes():
    found = measured(make_world())
    assert found.differing > 500
    assert (found.uncovered, found.unjudged, found.alarms) == (0, 0, ())
    assert found.upper < 0.03


def test_wrong_answers_that_the_holdout_knows_count_by_how_far_they_go_beyond_it():
    world = make_world().answering(of_carrier("c03", "c04"), lambda answers: answers + 60)
    found = measured(world)
    assert found.unjudged == 0
    assert found.excess > 80
    assert found.upper > 0.08
    worst = found.cells[0]
    assert worst.known
    assert worst.name in {"carrier=c03", "carrier=c04"}
    assert "sd above production, at most" in worst.reason


@pytest.mark.parametrize(
    ("region", "name"),
    [
        (of_carrier("c07"), "carrier=c07"),
        (lambda features: (features["z"] > 60) & (features["z"] <= 65), "z "),
        (in_box, "x 0."),
    ],
    ids=["value", "range", "box"],
)
def test_a_region_that_the_holdout_lacks_is_found_and_every_difference_in_it_counts(region, name):
    whole = make_world()
    world = whole.without(region).answering(region, permuted)
    inside = int(region(world.log).sum())
    found = measured(world)
    assert found.uncovered >= 0.8 * inside
    assert found.uncovered <= 2 * inside
    assert found.unjudged >= 0.7 * inside
    assert found.upper > 0.03
    told = [cell for cell in found.cells if not cell.known]
    assert told[0].name.startswith(name)
    assert "like them in the holdout (" in told[0].reason
    assert told[0].reason.endswith("% differ")
    assert measured(whole.answering(region, permuted)).unjudged == 0


def test_a_slice_of_one_percent_that_is_answered_tenfold_raises_the_alarm_by_its_name():
    world = make_world()
    world.log["carrier"][:] = np.where(np.arange(1_000) < 10, "HA", world.log["carrier"])
    found = measured(world.answering(of_carrier("HA"), lambda answers: 10 * answers))
    [alarm] = found.alarms
    assert alarm.name == "carrier=HA"
    assert alarm.reason.startswith(
        "carrier=HA: 10 requests, none like them in the holdout (30 expected), 100% lie"
    )
    assert measured(world).alarms == ()


def test_a_handful_of_requests_of_an_unseen_value_raises_no_alarm():
    world = make_world()
    world.log["carrier"][:3] = "HA"
    assert measured(world.answering(of_carrier("HA"), lambda answers: 10 * answers)).alarms == ()


def test_missing_values_are_a_cell_of_their_own():
    world = make_world()
    world.log["x"][:60] = np.nan
    world.log["carrier"][100:160] = None
    found = measured(world)
    assert 120 <= found.uncovered <= 150
    assert {cell.name for cell in found.cells if not cell.known} >= {"x missing", "carrier missing"}


def test_labels_count_by_the_transitions_that_the_holdout_does_not_show():
    world = make_world()
    world.candidate = tuple(np.where(one > 100, "yes", "no") for one in world.candidate)
    world.production = tuple(np.where(one > 100, "yes", "no") for one in world.production)
    good = measured(world)
    assert 0 < good.differing < 200
    assert good.upper < 0.03
    flipped = world.answering(
        of_carrier("c01", "c02"), lambda answers: np.where(answers == "yes", "no", "yes")
    )
    found = measured(flipped)
    assert found.upper > 0.05
    assert found.cells[0].reason.startswith(("carrier=c01:", "carrier=c02:"))
    assert "change from" in found.cells[0].reason


def test_of_several_numbers_a_row_the_one_that_differs_most_counts():
    world = make_world()
    world.production = tuple(np.stack([one, one], axis=1) for one in world.production)
    candidate = tuple(one.copy() for one in world.production)
    candidate[0][:40, 1] += 100
    world.candidate = candidate
    found = measured(world)
    assert found.differing == 40
    assert found.excess > 20


def test_a_constant_production_is_differed_from_by_anything_else():
    world = make_world()
    world.production = tuple(np.full(len(one), 5.0) for one in world.production)
    world.candidate = tuple(one.copy() for one in world.production)
    assert measured(world).differing == 0
    assert measured(world.answering(of_carrier("c01"), lambda answers: answers + 1)).differing > 20


def test_slices_are_shown_and_one_that_is_no_feature_is_refused():
    found = measured(make_world(), slices=["carrier", "x"])
    assert len(found.slices) == 20 + 6
    assert sum(cell.requests for cell in found.slices) == 2_000
    with pytest.raises(PolicyError, match=r"shadow.slices: 'town' is no feature .* x, z, carrier"):
        measured(make_world(), slices=["town"])


def test_what_cannot_be_compared_is_refused():
    world = make_world()
    with pytest.raises(DatasetError, match="share no feature: the log has a, the holdout x, z, carrier"):
        measure_disagreement(({"a": world.log["x"]}, world.holdout), world.candidate, world.production)
    with pytest.raises(DatasetError, match="x: the log has text and the holdout numbers"):
        measure_disagreement(
            ({"x": world.log["x"].astype(str)}, world.holdout), world.candidate, world.production
        )
    texts = tuple(one.astype(str) for one in world.candidate)
    with pytest.raises(ModelError, match="answers with text of shape"):
        measure_disagreement((world.log, world.holdout), texts, world.production)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from([0.01, 1.0, 1_000.0]))
def test_neither_the_order_of_rows_nor_the_unit_of_the_answers_matters(seed, unit):
    world = make_world(seed, requests=300, rows=500).answering(
        of_carrier("c05"), lambda answers: answers + 20
    )
    before = measured(world)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(300), rng.permutation(500)]
    log, holdout = (
        {name: values[order] for name, values in part.items()}
        for part, order in zip((world.log, world.holdout), orders, strict=True)
    )
    candidate, production = (
        tuple(unit * one[order] for one, order in zip(answers, orders, strict=True))
        for answers in (world.candidate, world.production)
    )
    after = measure_disagreement((log, holdout), candidate, production)
    assert after.unjudged == before.unjudged
    assert after.upper == pytest.approx(before.upper, abs=0.01)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.integers(2, 400), st.integers(1, 400))
def test_equal_answers_never_count_whatever_the_holdout_lacks(seed, requests, rows):
    world = make_world(seed, requests, rows)
    world.candidate = world.production
    found = measured(world)
    assert (found.differing, found.unjudged, found.excess, found.alarms) == (0, 0, 0, ())
    assert found.upper == upper_bound(0, requests)


def test_windows_grow_as_the_holdout_shrinks_until_there_are_none():
    sizes = [window_size(1_000, rows) for rows in (8_000, 3_000, 1_000, 300)]
    assert sizes == sorted(sizes)
    assert window_size(1_000, 20) is None

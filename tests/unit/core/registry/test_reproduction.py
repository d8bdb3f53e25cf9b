"""When a model trained again is the same one, in numbers."""

import numpy as np
import pytest

from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.registry.reproduction import (
    compare,
    environment_warnings,
    hardware_of,
    machine_warnings,
)

LABELS = np.array(["up"] * 97 + ["down"] * 3, dtype=object)
NUMBERS = np.linspace(0, 10, 100)
SCORES = np.linspace(0, 1, 100)


def changed(values, count, to):
    made = values.copy()
    made[:count] = to
    return made


def test_a_regression_is_held_to_its_largest_difference_alone():
    found = compare(Answers(NUMBERS), Answers(NUMBERS + 0.0078125))
    assert (found.largest_difference, found.labels_changed, found.rows) == (0.0078125, None, 100)
    assert found.spread == pytest.approx(np.std(NUMBERS))
    assert found.decide() == (
        "numeric",
        "over 100 rows: largest difference of predictions 0.00781 <= 0.01",
    )
    assert found.decide(tolerance=0.001)[0] == "different"


@pytest.mark.parametrize(("count", "answer"), [(0, "numeric"), (1, "numeric"), (2, "different")])
def test_labels_are_held_to_the_share_that_changed(count, answer):
    found = compare(Answers(LABELS), Answers(changed(LABELS, count, "down")))
    assert (found.labels_changed, found.largest_difference) == (count / 100, None)
    assert found.decide()[0] == answer


@pytest.mark.parametrize("labels", [np.arange(100), np.arange(100) % 2 == 0])
def test_integers_and_booleans_are_labels(labels):
    assert compare(Answers(labels), Answers(labels)).labels_changed == 0


def test_with_scores_both_must_hold():
    near = SCORES + 0.004
    assert compare(Answers(LABELS, SCORES), Answers(LABELS, near)).decide()[0] == "numeric"
    assert compare(Answers(LABELS, SCORES), Answers(LABELS, SCORES + 0.02)).decide()[0] == "different"
    flipped = compare(Answers(LABELS, SCORES), Answers(changed(LABELS, 5, "down"), near))
    assert flipped.decide() == (
        "different",
        "over 100 rows: largest difference of scores 0.004 <= 0.01, 5.00% of labels changed > 1%",
    )


def test_scores_of_several_classes_are_compared_each():
    before = np.tile([0.2, 0.3, 0.5], (100, 1))
    after = before + np.array([0, 0.125, -0.125])
    assert compare(Answers(LABELS, before), Answers(LABELS, after)).largest_difference == 0.125
    lost = compare(Answers(LABELS, before), Answers(LABELS, after[:, :2]))
    assert lost.decide() == ("different", "answers had the shape (100, 3), and have (100, 2) now")


def test_what_is_missing_on_both_sides_is_the_same_and_on_one_it_is_not():
    holes = changed(NUMBERS, 3, np.nan)
    assert compare(Answers(holes), Answers(holes)).largest_difference == 0
    assert compare(Answers(changed(NUMBERS, 1, np.inf)), Answers(changed(NUMBERS, 1, np.inf))).decide()[
        0
    ] == ("numeric")
    for one, other in ((NUMBERS, holes), (holes, NUMBERS)):
        assert compare(Answers(one), Answers(other)).decide() == (
            "different",
            "3 answers are NaN or infinite in one of the two",
        )
    opposite = compare(Answers(changed(NUMBERS, 1, np.inf)), Answers(changed(NUMBERS, 1, -np.inf)))
    assert opposite.decide()[0] == "different"
    nothing = changed(LABELS, 2, None)
    assert compare(Answers(nothing), Answers(nothing)).labels_changed == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Answers(LABELS, SCORES), Answers(LABELS), "only the recorded version answers with scores"),
        (Answers(LABELS), Answers(LABELS, SCORES), "only the model trained again answers with scores"),
        (Answers(NUMBERS), Answers(LABELS), "the predictions were numbers, and are labels now"),
    ],
)
def test_answers_of_another_kind_are_another_model(before, after, told):
    assert compare(before, after).decide() == ("different", told)


def test_packages_interpreter_and_image_that_changed_are_named():
    then = {"python": "3.11.7", "image": "a@1", "distributions": {"numpy": "2.1", "six": "1"}}
    now = {"python": "3.12.1", "image": None, "distributions": {"numpy": "2.2", "six": "1"}}
    assert environment_warnings(then, now) == [
        "python 3.11.7 -> 3.12.1",
        "image a@1 -> none",
        "numpy 2.1 -> 2.2",
    ]
    assert environment_warnings(now, now) == []
    assert environment_warnings({}, now) == ["the packages of then are not on record"]


def test_of_many_packages_that_changed_some_are_named_and_the_others_counted():
    then = {"distributions": {f"made-up-{number:02}": "1" for number in range(13)}}
    found = environment_warnings(then, {"distributions": {}})
    assert len(found) == 11
    assert found[-1] == "and 3 packages more"


def test_another_machine_is_named_but_not_its_memory():
    then = hardware_of({"cpu": "A", "gpus": ["H100, 570"], "memory_bytes": 1, "system": "Linux 5"})
    now = {"cpu": "A", "gpus": [], "memory_bytes": 2, "system": "Linux 6"}
    assert machine_warnings(then, now) == ["gpus ['H100, 570'] -> []"]

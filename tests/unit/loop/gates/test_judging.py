"""What tables become before a gate sees them: nothing that is missing may look like an answer."""

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.metrics.labels import missing_problem
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.loop.gates.judging import to_answers, to_array, to_slices


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def test_a_missing_row_of_a_dictionary_is_missing():
    values = column(["a", "b", None, "a"]).dictionary_encode()
    assert to_array(values).tolist() == ["a", "b", None, "a"]
    assert missing_problem(to_array(values), "predictions") == "1 of 4 predictions are missing"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([[0.1, 0.9], [0.4, 0.6]], None),
        ([[0.1, 0.9], None], "1 of 2 scores are missing"),
        ([[0.1, 0.9], [0.4, None]], "1 of 4 scores are missing"),
    ],
)
def test_scores_of_each_class_are_rows_and_missing_ones_are_found(values, problem):
    scores = to_array(column(values, pa.list_(pa.float64())))
    assert len(scores) == 2
    assert missing_problem(scores, "scores") == problem


def test_rows_of_unequal_length_stay_what_they_are():
    assert to_array(column([[0.1], [0.4, 0.6]])).tolist() == [[0.1], [0.4, 0.6]]


def test_a_version_without_scores_has_none():
    table = pa.table({"prediction": [1, 0]})
    assert to_answers(table).score is None
    assert np.array_equal(to_answers(table.append_column("score", [[0.9, 0.1]])).score, [0.9, 0.1])


def test_slices_are_text_and_their_missing_values_have_a_name():
    policy = Policy.from_json({"model": "m", "validation": {"min_f1": 0.5, "slices": ["region", "floor"]}})
    table = pa.table({"region": ["north", None], "floor": [1, 2]})
    assert {name: values.tolist() for name, values in to_slices(policy, table).items()} == {
        "region": ["north", "(missing)"],
        "floor": ["1", "2"],
    }
    with pytest.raises(DatasetError, match=r"^validation.slices: column 'floor' is list<.*; name another"):
        to_slices(policy, table.set_column(1, "floor", pa.array([[1], [2]])))

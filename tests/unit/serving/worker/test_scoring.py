"""MLflow's scoring protocol, read and written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import RequestError
from airflow_provider_ifp.serving.worker.frames import Answers
from airflow_provider_ifp.serving.worker.scoring import read_request, write_reply

NAMES = ("a", "b")
VALUES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text() | st.floats(allow_nan=False)
ROWS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5)


def encode(content):
    return json.dumps(content).encode()


@given(ROWS)
def test_the_four_formats_say_the_same(rows):
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    bodies = [
        {"dataframe_split": {"columns": NAMES, "index": list(range(len(rows))), "data": rows}},
        {"dataframe_records": records},
        {"instances": records},
        {"instances": rows},
        {"inputs": columns},
        {"inputs": rows},
        {"dataframe_split": {"data": rows}},
    ]
    for body in bodies:
        asked = read_request(encode(body), NAMES)
        assert {name: list(values) for name, values in asked.columns.items()} == columns
        assert asked.rows == len(rows)


def test_missing_values_as_python_writes_them_are_read():
    asked = read_request(b'{"dataframe_records": [{"a": NaN, "b": -Infinity}]}', NAMES)
    assert math.isnan(asked.columns["a"][0])
    assert asked.columns["b"] == [-math.inf]


def test_a_column_that_only_some_records_have_is_missing_in_the_others():
    asked = read_request(b'{"dataframe_records": [{"a": 1}, {"b": 2}]}', NAMES)
    assert asked.columns == {"a": [1, None], "b": [None, 2]}


def test_values_of_a_model_with_one_column_need_no_rows():
    assert read_request(b'{"instances": [1, 2]}', ("a",)).columns == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[1]", "the body is a JSON list: expected an object with 'dataframe_split'"),
        (b"{}", "the body has no key: expected exactly one of"),
        (b'{"data": []}', "the body has 'data': expected exactly one of"),
        (b'{"inputs": [], "instances": []}', "the body has instances and inputs"),
        (b'{"instances": [], "params": {"k": 1}}', "'params'"),
        (b'{"dataframe_split": [1]}', "'dataframe_split': expected an object with 'columns' and 'data'"),
        (b'{"dataframe_split": {"columns": [1], "data": []}}', "'columns' to be a list of names"),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": []}}', "a column is named twice"),
        (b'{"dataframe_split": {"data": [[1, 2], [1]]}}', "'dataframe_split.data', row 1: 1 values for 2"),
        (b'{"dataframe_split": {"data": [1]}}', "row 0: expected a list of values, found number"),
        (b'{"dataframe_records": {"a": 1}}', "'dataframe_records': expected a list of objects"),
        (b'{"dataframe_records": [1]}', "'dataframe_records', row 0: expected an object, found number"),
        (b'{"instances": [{"a": 1}, 2]}', "'instances', row 1: expected an object, found number"),
        (b'{"inputs": {"a": [1], "b": [1, 2]}}', "'inputs': 'b' has 2 values and another column 1"),
    ],
)
def test_what_cannot_be_read_is_told(body, said):
    with pytest.raises(RequestError) as caught:
        read_request(body, NAMES)
    assert said in str(caught.value)


def test_rows_without_names_need_a_model_that_has_them():
    with pytest.raises(RequestError, match="send their names"):
        read_request(b'{"instances": [[1, 2]]}', ())


def test_answers_are_records_and_what_is_no_number_is_null():
    answers = Answers({"prediction": [1, math.nan], "score": [[0.1, 0.9], [0.5, 0.5]]}, 2)
    assert json.loads(write_reply(answers)) == {
        "predictions": [
            {"prediction": 1, "score": [0.1, 0.9]},
            {"prediction": None, "score": [0.5, 0.5]},
        ]
    }

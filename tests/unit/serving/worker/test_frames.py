"""Columns of requests as frames: of the types that the model was trained on, whoever asks beside."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import SignatureError
from airflow_provider_ifp.serving.worker.columns import CATEGORY, Column, Columns
from airflow_provider_ifp.serving.worker.frames import Asked, join_columns, kind_of, make_frame

TYPES = {
    "number": pa.float64(),
    "count": pa.int64(),
    "flag": pa.bool_(),
    "name": pa.string(),
    "kind": CATEGORY,
    "when": pa.timestamp("us"),
    "zoned": pa.timestamp("us", "UTC"),
    "places": pa.list_(pa.float64()),
}
COLUMNS = {name: Columns.of([Column(name, kind)]) for name, kind in TYPES.items()}
VALUES = {
    "number": st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    "count": st.none() | st.integers(-(2**63), 2**63 - 1),
    "flag": st.none() | st.booleans(),
    "name": st.none() | st.text(),
}


def frame(name, *requests):
    asked = [Asked({name: values}, len(values)) for values in requests]
    return make_frame(join_columns(asked, COLUMNS[name]))


@pytest.mark.parametrize("name", sorted(VALUES))
@given(st.data())
def test_requests_of_one_kind_get_the_frame_that_each_would_get_alone(name, data):
    requests = data.draw(st.lists(st.lists(VALUES[name], min_size=1, max_size=3), min_size=2, max_size=3))
    kinds = {kind_of(Asked({name: values}, len(values)), COLUMNS[name]) for values in requests}
    if len(kinds) > 1:
        return
    together = frame(name, *requests)
    alone = pd.concat([frame(name, values) for values in requests], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone)


def test_a_missing_whole_number_makes_another_kind_since_it_makes_a_column_of_floats():
    kinds = [kind_of(Asked({"count": values}, 1), COLUMNS["count"]) for values in ([1], [None])]
    assert kinds[0] != kinds[1]
    assert [frame("count", [1]).dtypes["count"], frame("count", [None]).dtypes["count"]] == [
        "int64",
        "float64",
    ]


def test_the_frame_is_that_of_the_training_table_in_pandas():
    table = pa.table({"a": [1.5, None], "b": [2.0, 3.0]})
    columns = Columns.of([Column("a", pa.float64()), Column("b", pa.float64())])
    made = make_frame(join_columns([Asked({"a": [1.5, None], "b": [2, 3]}, 2)], columns))
    pd.testing.assert_frame_equal(made, table.to_pandas())


@pytest.mark.parametrize(
    ("name", "values", "meant"),
    [
        ("number", [2**60, 1], [float(2**60), 1.0]),
        ("count", [5.0, float("nan")], [5, None]),
        ("when", ["2026-11-25T05:00:00+01:00"], [pd.Timestamp("2026-11-25T04:00:00")]),
        ("zoned", ["2026-11-25T05:00:00"], [pd.Timestamp("2026-11-25T05:00:00Z")]),
        ("kind", ["x", None], ["x", None]),
        ("places", [[1, 2.5], None], [[1.0, 2.5], None]),
        ("number", np.array([1, 2], "i4"), [1.0, 2.0]),
        ("count", np.array([1.0, 2.0]), [1, 2]),
    ],
)
def test_values_are_brought_to_the_columns_type_where_nothing_is_lost(name, values, meant):
    joined = join_columns([Asked({name: values}, len(values))], COLUMNS[name])
    assert joined[name].type == TYPES[name]
    assert joined[name].to_pylist() == meant


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("number", [1.0, "1"], "column 'number', row 1: expected a number, found '1'"),
        ("number", [True], "expected a number, found true"),
        ("count", [2.5], "column 'count', row 0: expected a whole number, found 2.5"),
        ("count", [2**63], "expected a whole number, found 9223372036854775808"),
        ("flag", [1], "column 'flag', row 0: expected true or false, found 1"),
        ("name", ["a", 1], "column 'name', row 1: expected text, found 1"),
        ("kind", [1], "column 'kind', row 0: expected text, found 1"),
        ("when", ["noon"], "column 'when', row 0: expected a time in ISO 8601, found 'noon'"),
        ("places", [[1.0], "x"], "column 'places', row 1: expected a list of numbers, found 'x'"),
        ("places", [["x"]], "column 'places', row 0: expected a list of numbers, found ['x']"),
        ("number", np.array([True]), "column 'number': expected a number, found bool"),
        ("count", np.array([2.5]), "column 'count': expected a whole number, found float64"),
        ("name", [{"x": "y" * 100}], "expected text, found {'x': 'yyyy"),
    ],
)
def test_a_value_of_another_type_is_told_with_its_column_and_row(name, values, said):
    with pytest.raises(SignatureError) as caught:
        join_columns([Asked({name: values}, len(values))], COLUMNS[name])
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_missing_column_is_named_with_those_that_are_there():
    with pytest.raises(SignatureError, match="column 'name' is missing; the request has 'nam'"):
        kind_of(Asked({"nam": ["x"]}, 1), COLUMNS["name"])


def test_a_column_without_a_type_is_taken_as_it_comes_and_apart_from_others():
    columns = Columns.of([Column("any", None)])
    kinds = [kind_of(Asked({"any": values}, 1), columns) for values in ([1], [2], [1.5], ["x"])]
    assert kinds[0] == kinds[1]
    assert len(set(kinds)) == 3
    with pytest.raises(SignatureError, match="column 'any' has values of several types"):
        kind_of(Asked({"any": [1, "x"]}, 2), columns)


def test_an_optional_column_may_be_left_out():
    columns = Columns.of([Column("a", pa.float64()), Column("b", pa.float64(), required=False)])
    asked = Asked({"a": [1.0]}, 1)
    assert kind_of(asked, columns) != kind_of(Asked({"a": [1.0], "b": [2.0]}, 1), columns)
    assert list(join_columns([asked], columns)) == ["a"]

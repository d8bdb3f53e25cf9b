"""Arrow columns, profiled and counted."""

import datetime as dt
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.same_counts import require_all_same_counts

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.drift.psi import psi
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, NumericProfile

TABLE = pa.table(
    {
        "price": pa.array([1.5, None, float("nan"), 4.0]),
        "items": pa.array([1, 2, None, 4], pa.int16()),
        "cost": pa.array([Decimal("1.10"), None, Decimal("2.20"), Decimal("3.30")]),
        "at": pa.array(
            [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in range(1, 5)], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([dt.date(1970, 1, 2)] * 4),
        "region": pa.array(["north", "south", None, "north"]),
        "member": pa.array([True, False, None, True]),
        "code": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "grade": pa.array([3, 1, 3, None]),
    }
)


def test_each_type_is_profiled_by_its_kind():
    profile = profile_table(TABLE, TABLE.column_names)
    kinds = {feature.name: feature.value_type for feature in profile.features}
    assert kinds == {
        "price": "number",
        "items": "number",
        "cost": "number",
        "at": "time",
        "day": "time",
        "region": "text",
        "member": "boolean",
        "code": "text",
        "grade": "number",
    }
    by_name = {feature.name: feature for feature in profile.features}
    assert {name for name, one in by_name.items() if isinstance(one, CategoricalProfile)} == {
        "region",
        "member",
        "code",
    }
    assert by_name["price"].missing == 2
    assert by_name["region"].names == ("north", "south")
    assert by_name["member"].names == ("true", "false")
    assert by_name["code"].missing == 1
    assert by_name["day"].atoms == (86_400.0,)
    assert by_name["at"].atoms[0] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
    assert profile.rows == 4


def test_named_categories_take_the_place_of_the_types():
    profile = profile_table(TABLE, ["grade", "region", "member"], categorical=["grade", "region"])
    grade, _, member = profile.features
    assert isinstance(grade, CategoricalProfile)
    assert (grade.names, grade.value_type) == (("3", "1"), "number")
    assert isinstance(member, NumericProfile)
    assert member.atoms == (0.0, 1.0)
    floats = pa.record_batch({"grade": [3.0, 1.0], "region": ["north", "north"], "member": [1, 0]})
    assert count_batches(profile, [floats])["grade"].bins.tolist() == [1, 1, 0, 0]


@given(st.lists(st.integers(1, 7), max_size=5), st.booleans())
def test_counts_do_not_depend_on_batches_or_encoding(sizes, encoded):
    rng = np.random.default_rng(len(sizes))
    rows = sum(sizes)
    current = pa.table(
        {"price": rng.normal(size=rows), "region": rng.choice(["north", "south", "new"], rows)}
    )
    reference = pa.table({"price": rng.normal(size=50), "region": rng.choice(["north", "south"], 50)})
    profile = profile_table(reference, ["price", "region"])
    whole = count_batches(profile, current.to_batches())
    if encoded:
        current = current.set_column(1, "region", current["region"].dictionary_encode())
    ends = np.cumsum([0, *sizes])
    parts = [current.slice(start, size) for start, size in zip(ends, sizes, strict=False)]
    found = count_batches(profile, (batch for part in parts for batch in part.to_batches()))
    require_all_same_counts(found, whole)


def test_a_table_and_its_batches_have_one_profile():
    batches = [batch for part in range(4) for batch in TABLE.slice(part, 1).to_batches()]
    assert profile_table(batches, TABLE.column_names) == profile_table(TABLE, TABLE.column_names)


def test_no_batches_are_a_window_of_no_rows():
    counts = count_batches(profile_table(TABLE, ["price", "region"]), [])
    assert {name: one.rows for name, one in counts.items()} == {"price": 0, "region": 0}


def test_a_column_of_nulls_counts_as_missing():
    profile = profile_table(TABLE, ["price", "region"])
    counts = count_batches(profile, [pa.record_batch({"price": pa.nulls(3), "region": pa.nulls(3)})])
    assert [one.missing for one in counts.values()] == [3, 3]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("price", ["1.5"], "expected numbers, as in the reference window, found string"),
        (
            "price",
            [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
            "expected numbers, as in the reference window, found timestamp",
        ),
        ("region", [1], "expected text, as in the reference window, found int64"),
        ("member", ["true"], "expected booleans, as in the reference window, found string"),
        ("at", [1], "expected timestamps or dates, as in the reference window, found int64"),
        ("price", [[1.5]], "expected numbers, as in the reference window, found list"),
    ],
)
def test_a_column_whose_type_changed_is_refused_by_name(column, values, expected):
    with pytest.raises(DatasetError) as caught:
        count_batches(profile_table(TABLE, [column]), [pa.record_batch({column: values})])
    assert f"column {column!r}: {expected}" in str(caught.value)
    assert "train a new version" in str(caught.value)


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DatasetError, match="there is no column 'prise'; the columns are: price, items"):
        profile_table(TABLE, ["prise"])
    with pytest.raises(DatasetError, match="there is no column 'price'; the columns are: cost"):
        count_batches(profile_table(TABLE, ["price"]), [pa.record_batch({"cost": [1.0]})])


def test_what_cannot_be_profiled_is_refused():
    with pytest.raises(DatasetError, match="found 0 rows and 1 features"):
        profile_table(TABLE.slice(0, 0), ["price"])
    with pytest.raises(DatasetError, match="found 0 rows"):
        profile_table([], ["price"])
    with pytest.raises(DatasetError, match="found 4 rows and 0 features"):
        profile_table(TABLE, [])
    with pytest.raises(
        DatasetError, match=r"'where': expected numbers, .* booleans or lists of numbers, found struct"
    ):
        profile_table(pa.table({"where": [{"x": 1}]}), ["where"])
    with pytest.raises(
        DatasetError, match="'region': expected numbers, since it is not among the categorical"
    ):
        profile_table(TABLE, ["region", "code"], categorical=["code"])
    with pytest.raises(DatasetError, match="price named twice"):
        profile_table(TABLE, ["price", "price"])
    with pytest.raises(DatasetError, match="categorical: zone is no feature"):
        profile_table(TABLE, ["price"], categorical=["zone"])
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DatasetError, match="2 columns are called 'a'"):
        profile_table(twice, ["a"])


def test_the_contracts_example_holds_through_arrow():
    reference = pa.table({"text": ["n", "y"] * 50, "number": [0, 1] * 50, "flag": [False, True] * 50})
    current = pa.table(
        {"text": ["n"] * 60 + ["y"] * 40, "number": [0] * 60 + [1] * 40, "flag": [False] * 60 + [True] * 40}
    )
    profile = profile_table(reference, ["text", "number", "flag"])
    counts = count_batches(profile, current.to_batches())
    assert [round(psi(one, counts[one.name]), 6) for one in profile.features] == [0.040547] * 3


def test_counting_numbers_does_not_import_pandas():
    code = (
        "import sys, numpy, pyarrow as pa\n"
        "from airflow_provider_ifp.adapters.counting.counter import count_batches\n"
        "from airflow_provider_ifp.adapters.counting.profiling import profile_table\n"
        "buffer = pa.py_buffer(numpy.arange(100.0).tobytes())\n"
        "x = pa.Array.from_buffers(pa.float64(), 100, [None, buffer])\n"
        "table = pa.Table.from_arrays([x], names=['x'])\n"
        "count_batches(profile_table(table, ['x']), table.to_batches())\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

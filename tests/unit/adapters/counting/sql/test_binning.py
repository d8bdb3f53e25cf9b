"""The statements that count in databases: one expression, generated for each dialect and read back."""

import re

import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from airflow_provider_ifp.adapters.counting.sql.binning import (
    MOMENTS,
    Column,
    count_names,
    count_numbers,
    count_strangers,
    joined,
    literal,
)
from airflow_provider_ifp.adapters.sql.dialects import DIALECTS, dialect_of
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.reference import profile_numbers

VALUES = np.concatenate([np.random.default_rng(2).normal(size=500), np.full(200, np.inf), np.zeros(200)])
FEATURE = profile_numbers("x", VALUES)
NUMBERS = [
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.timestamp("us"),
    pa.timestamp("us", "UTC"),
    pa.date32(),
    pa.null(),
]
NAMES = [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.null()]
ROW = ["feature", "bin", "name", "value", "row_count", *(f"m_{name}" for name in MOMENTS)]


@pytest.fixture(params=sorted(DIALECTS))
def dialect(request):
    return DIALECTS[request.param]


def branches(dialect):
    numbers = [
        count_numbers(Column(place, kind), FEATURE, "coarse", dialect) for place, kind in enumerate(NUMBERS)
    ]
    names = [
        count_names(Column(place, kind), dialect).sql(dialect.name) for place, kind in enumerate(NAMES, 10)
    ]
    strangers = [count_strangers(Column(place, kind), dialect) for place, kind in enumerate(NAMES, 20)]
    return numbers + names + [one.sql(dialect.name) for one in strangers if one is not None]


def test_each_dialect_reads_back_what_is_generated_for_it(dialect):
    written = branches(dialect)
    assert len(written) == len(NUMBERS) + len(NAMES) + (1 if dialect.strict else len(NAMES))
    for text in written:
        read = sqlglot.parse_one(text, read=dialect.name)
        # Nothing was taken for a word unknown to the dialect, and kept as it is.
        assert not list(read.find_all(exp.Command))
        assert [column.alias for column in read.selects] == ROW
        assert read.sql(dialect.name) == text


def test_all_branches_make_one_statement_with_rows_of_one_shape(dialect):
    read = sqlglot.parse_one(joined(branches(dialect)), read=dialect.name)
    assert isinstance(read, exp.Union)
    assert not read.args["distinct"]
    assert {table.name for table in read.find_all(exp.Table)} == {"ifp_window"}


def test_statements_hold_numbers_and_names_of_their_own_only(dialect):
    for text in branches(dialect):
        # What SQLAlchemy would take for a parameter of its own.
        assert ":" not in text
        assert set(re.findall(r"\bc\d+\b", text)) <= {f"c{place}" for place in range(30)}


def test_a_tree_of_comparisons_has_ten_levels_and_each_edge_once():
    feature = profile_numbers("x", np.arange(5_000.0))
    text = count_numbers(Column(0, pa.int64()), feature, "fine", DIALECTS["postgres"])
    tree = next(
        case
        for case in sqlglot.parse_one(text).find_all(exp.Case)
        if case.args["ifs"][0].this.sql() == "v IS NULL"
    )

    def depth(node):
        return (
            1 + max(map(depth, [node.args["ifs"][0].args["true"], node.args["default"]]))
            if isinstance(node, exp.Case)
            else 0
        )

    assert depth(tree.args["default"]) == 10
    assert text.count("WHEN v <= ") == len(feature.edges) == 999


@pytest.mark.parametrize(
    "value", [0.1, -2.5e-320, 1.7976931348623157e308, 123456789.123456789, 2.0**53 + 2, 0.0]
)
def test_a_literal_is_a_double_and_the_same_float(value):
    text = literal(value)
    assert float(text) == value
    assert "e" in text


def test_an_unknown_database_is_named():
    assert [dialect_of(name).name for name in ("postgresql", "mariadb")] == ["postgres", "mysql"]
    with pytest.raises(
        DatasetError, match="counting in a database of type 'oracle' is not known; known are postgres"
    ):
        dialect_of("oracle")

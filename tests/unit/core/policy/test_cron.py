"""Cron expressions are checked where they are written."""

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.policy.cron import ALIASES, cron_problem


@pytest.mark.parametrize(
    "text", ["0 * * * *", "0 2 * * 1", "*/15 0-6 1,15 jan-mar MON", "0 0 29 2 *", "0 0 31 2 5", *ALIASES]
)
def test_cron_expressions_are_accepted(text):
    assert cron_problem(text) is None
    assert croniter.is_valid(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * *", "five fields"),
        ("1h", "five fields"),
        ("60 * * * *", "minute '60' is not within 0 to 59"),
        ("0 0 0 * *", "day of the month '0' is not within 1 to 31"),
        ("0 0 * foo *", "month 'foo' is not within 1 to 12"),
        ("0 0 * * 5-1", "day of the week '5-1'"),
        ("*/0 * * * *", "minute"),
        ("0 0 30 2 *", "would never come"),
    ],
)
def test_wrong_cron_expressions_are_refused_with_the_field(text, words):
    assert words in cron_problem(text)


def _field(low, high):
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, 9).map(lambda every: f"*/{every}")
    return st.one_of(st.just("*"), number.map(str), span, step)


@given(st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)))
def test_what_passes_here_passes_airflows_own_parser(fields):
    text = " ".join(fields)
    assert cron_problem(text) is None
    assert croniter.is_valid(text)

"""Durations: text outside, timedelta inside."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", timedelta(minutes=30)),
        ("48h", timedelta(hours=48)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("0d", timedelta(0)),
        ("0h", timedelta(0)),
    ],
)
def test_each_unit_of_the_contract_is_read(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "1.5h", "7 d", "7D", "1d12h", "30s", "٣d", "7d\n", 7, None, True]
)
def test_whatever_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(PolicyError, match="expected a duration such as 30m, 48h, 7d or 2w, found "):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9999999999d", "9" * 5000 + "m"])
def test_a_duration_longer_than_a_timedelta_is_refused(text):
    with pytest.raises(PolicyError, match="found a longer one"):
        parse_duration(text)


@pytest.mark.parametrize("duration", [timedelta(seconds=30), timedelta(days=-1)])
def test_only_whole_minutes_from_zero_on_are_written(duration):
    with pytest.raises(PolicyError, match="whole minutes"):
        format_duration(duration)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_written_is_read_as_the_same(minutes):
    duration = timedelta(minutes=minutes)
    assert parse_duration(format_duration(duration)) == duration


def test_days_are_written_where_the_file_had_weeks_or_hours():
    assert [format_duration(parse_duration(text)) for text in ("2w", "48h", "90m")] == ["14d", "2d", "90m"]

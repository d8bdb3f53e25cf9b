from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import IfpError, PolicyError
from airflow_provider_ifp.core.windows import Window, current_window, training_windows

DAY = timedelta(days=1)
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
TIMES = st.integers(315_532_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
LENGTHS = st.timedeltas(timedelta(microseconds=1), 400 * DAY)


def test_the_demos_first_windows_are_those_of_the_issue():
    windows = training_windows(MARCH, 51 * DAY, 10 * DAY, 0 * DAY)
    assert windows.holdout == Window(datetime(2013, 2, 19, tzinfo=UTC), MARCH)
    assert windows.train == Window(datetime(2012, 12, 30, tzinfo=UTC), datetime(2013, 2, 19, tzinfo=UTC))


@given(TIMES, LENGTHS, LENGTHS, st.timedeltas(timedelta(0), 400 * DAY))
def test_training_holdout_and_label_delay_lie_end_to_end_before_now(now, train, holdout, delay):
    windows = training_windows(now, train, holdout, delay)
    assert windows.train.end == windows.holdout.start
    assert windows.holdout.end + delay == now
    assert windows.holdout.end - windows.holdout.start == holdout
    assert windows.train.end - windows.train.start == train


def test_without_a_length_training_takes_all_there_is_before_the_holdout():
    windows = training_windows(MARCH, None, 10 * DAY, DAY)
    assert windows.train == Window(None, datetime(2013, 2, 18, tzinfo=UTC))
    assert str(windows.train) == "[beginning, 2013-02-18T00:00Z)"


@given(TIMES, LENGTHS)
def test_the_current_window_ends_now(now, length):
    window = current_window(now, length)
    assert (window.end, window.end - window.start) == (now, length)


@pytest.mark.parametrize("place", [training_windows, current_window])
def test_a_naive_time_is_refused(place):
    lengths = [DAY] if place is current_window else [DAY, DAY, 0 * DAY]
    with pytest.raises(
        IfpError, match=r"the time of the run must be in UTC: 2013-03-01T00:00:00 has no time zone"
    ):
        place(MARCH.replace(tzinfo=None), *lengths)


def test_a_time_in_another_zone_is_refused():
    berlin = datetime(2013, 3, 1, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(IfpError, match=r"must be in UTC: found 2013-03-01T00:00:00\+01:00; convert it"):
        current_window(berlin, DAY)


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(
        IfpError, match="must end after it starts: found start 2013-03-01T00:00Z, end 2013-03-01"
    ):
        Window(MARCH, MARCH)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((0 * DAY, DAY, 0 * DAY), "data.train_window: expected more than 0d"),
        ((DAY, 0 * DAY, 0 * DAY), "data.holdout_window: expected more than 0d"),
        ((DAY, DAY, -DAY), "data.label_delay: expected 0d or more"),
    ],
)
def test_a_length_that_makes_no_window_names_its_key(lengths, message):
    with pytest.raises(PolicyError, match=message):
        training_windows(MARCH, *lengths)


def test_windows_before_the_year_1_are_refused():
    with pytest.raises(IfpError, match="lies before the year 1; shorten the window"):
        training_windows(MARCH, timedelta(days=999_999), DAY, 0 * DAY)


def test_seconds_are_written_only_where_there_are_any():
    assert str(Window(None, MARCH + timedelta(seconds=5))) == "[beginning, 2013-03-01T00:00:05Z)"

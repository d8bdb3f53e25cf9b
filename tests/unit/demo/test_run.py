"""The days as of which the demo runs the loop."""

from datetime import date

import pytest

from airflow_provider_ifp.demo.run import _firsts


@pytest.mark.parametrize(
    ("until", "months"),
    [(date(2013, 3, 1), [3]), (date(2013, 3, 31), [3]), (date(2013, 6, 1), [3, 4, 5, 6])],
)
def test_the_last_run_is_as_of_the_last_first_of_a_month_up_to_that_day(until, months):
    assert list(_firsts(until)) == [date(2013, month, 1) for month in months]

import math

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.report.wording import NONE, number, numbers

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(finite, st.integers(3, 8))
def test_a_printed_number_is_the_number_to_its_significant_digits(value, digits):
    printed = float(number(value, digits).replace(",", ""))

    assert math.isclose(printed, value, rel_tol=0.5 * 10 ** (1 - digits) * 1.001)


@given(st.lists(st.one_of(st.none(), finite), max_size=3))
def test_the_numbers_of_a_row_come_back_in_order_and_unequal_ones_look_unequal(values):
    written = numbers(values)

    assert [text == NONE for text in written] == [value is None for value in values]
    assert len(set(written)) == len(set(values))

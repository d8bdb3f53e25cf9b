"""Lengths of time as a policy writes them: `30m`, `48h`, `7d`, `2w`.

Text outside, `datetime.timedelta` inside. Whole minutes only: nothing in the loop is decided faster.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from airflow_provider_ifp.core.errors import PolicyError

PATTERN = "^[0-9]+[mhdw]$"
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SHOWN = ("d", "h", "m")
"""Weeks are read but not written: 7d says more beside 10d than 1w does."""


def parse_duration(text: str) -> timedelta:
    """Read a length of time.

    Args:
        text: digits and one unit: m (minutes), h (hours), d (days of 24 hours) or w (weeks).

    Raises:
        PolicyError: the text is none, or is longer than a timedelta holds.

    >>> parse_duration("48h")
    datetime.timedelta(days=2)
    >>> parse_duration("0d")
    datetime.timedelta(0)
    """
    if not isinstance(text, str) or re.fullmatch(PATTERN[1:-1], text) is None:
        found = "nothing" if text is None else repr(text)
        raise PolicyError(f"expected a duration such as 30m, 48h, 7d or 2w, found {found}")
    try:
        return int(text[:-1]) * _UNITS[text[-1]]
    except (OverflowError, ValueError):  # int() refuses more than 4,300 digits with a ValueError
        raise PolicyError(
            f"expected a duration under {timedelta.max.days} days, found a longer one"
        ) from None


def format_duration(duration: timedelta) -> str:
    """Write a length of time in the largest of days, hours and minutes that divides it.

    Raises:
        PolicyError: it is negative or no whole number of minutes.

    >>> [format_duration(timedelta(hours=hours)) for hours in (48, 36, 0)]
    ['2d', '36h', '0d']
    """
    if duration < timedelta(0) or duration % _UNITS["m"]:
        raise PolicyError(f"expected a duration of whole minutes, 0 or more, found {duration}")
    unit = next(unit for unit in _SHOWN if not duration % _UNITS[unit])
    return f"{duration // _UNITS[unit]}{unit}"


def _read(value: object) -> timedelta:
    """Take text from a file, or a timedelta from code."""
    try:
        if isinstance(value, timedelta):
            format_duration(value)
            return value
        return parse_duration(value)  # type: ignore[arg-type]  # it refuses whatever is no text
    except PolicyError as error:
        raise PydanticCustomError("policy", "{text}", {"text": str(error)}) from None


def _require_positive(duration: timedelta) -> timedelta:
    if not duration:
        raise PydanticCustomError(
            "policy", "{text}", {"text": "expected a duration longer than 0, such as 7d, found 0"}
        )
    return duration


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["30m", "48h", "7d", "2w"]}),
]
"""A model's field that reads and writes the text."""

PositiveDuration = Annotated[Duration, AfterValidator(_require_positive)]
"""The same, where no time at all would make no sense."""

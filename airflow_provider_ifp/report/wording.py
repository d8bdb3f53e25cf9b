"""Numbers, months and durations as a page writes them."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.figures import figure, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = "\N{EN DASH}"
MINUTE, HOUR = 60.0, 3600.0


def number(value: float | None, significant: int = 3) -> str:
    """A number with so many significant digits, never with fewer than its whole part.

    >>> [number(x) for x in (9.8765, 16.84, 0.11064, 40974, 0.10, 0.0, -0.005, 1e-9)]
    ['9.88', '16.8', '0.111', '40,974', '0.1', '0', '-0.005', '1e-09']
    >>> number(None) == NONE, number(float("nan")), number(float("inf"))
    (True, 'NaN', 'infinite')
    """
    if value is None:
        return NONE
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    text = figure(value, significant)
    return _separate_thousands(text)


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals, so that a column of them lines up.

    >>> fixed(10, 2), fixed(float("nan"), 1), fixed(None, 2) == NONE
    ('10.00', 'NaN', True)
    """
    return f"{value:,.{decimals}f}" if value is not None and math.isfinite(value) else number(value)


def numbers(values: Sequence[float | None]) -> list[str]:
    """The numbers of one row, with as many digits as it takes to tell unequal ones apart.

    >>> numbers([0.871, None, 0.876]) == ['0.871', NONE, '0.876'], numbers([12000.4, 12000.3])[0]
    (True, '12,000.4')
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    texts = dict(zip(finite, figures(finite), strict=True))
    return [_separate_thousands(texts[value]) if value in texts else number(value) for value in values]


def month_name(month: str, *, short: bool = False) -> str:
    """The name of a month that is written as `2013-06`.

    >>> month_name("2013-06"), month_name("2013-09", short=True)
    ('June', 'Sep')
    """
    return date.fromisoformat(f"{month}-01").strftime("%b" if short else "%B")


def month_span(months: list[str]) -> str:
    """First to last of a list of months; years are named where there are several.

    >>> month_span(["2013-07", "2013-08", "2013-09"]), month_span(["2013-06"])
    ('July to September', 'June')
    >>> month_span(["2013-11", "2013-12"]), month_span(["2013-12", "2014-01"])
    ('November and December', 'December 2013 to January 2014')
    """
    first, last = months[0], months[-1]
    if first[:4] != last[:4]:
        return f"{month_name(first)} {first[:4]} to {month_name(last)} {last[:4]}"
    if first == last:
        return month_name(first)
    return f"{month_name(first)} {'and' if len(months) == 2 else 'to'} {month_name(last)}"  # noqa: PLR2004 - a pair


def day(moment: str) -> str:
    """A day of the year from an ISO date or time.

    >>> day("2013-07-01"), day("2013-07-01T00:00:00+00:00")
    ('Jul 1', 'Jul 1')
    """
    found = datetime.fromisoformat(moment)
    return f"{found:%b} {found.day}"


def clock(moment: str) -> str:
    """Date and minute of an ISO time, in the zone that it names.

    >>> clock("2026-11-03T09:05:59+00:00")
    '2026-11-03 09:05 UTC'
    """
    found = datetime.fromisoformat(moment)
    return f"{found:%Y-%m-%d %H:%M} {found.tzname() or ''}".rstrip()


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(8.4), duration(171.2), duration(7260)
    ('8 s', '2 min 51 s', '2 h 1 min')
    """
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def _separate_thousands(text: str) -> str:
    whole = text.partition(".")[0]
    digits = whole.removeprefix("-")
    # What has an exponent is left as it is.
    return text.replace(whole, f"{whole[: -len(digits)]}{int(digits):,}", 1) if digits.isdecimal() else text

"""Cron expressions, checked while the policy is read.

A wrong one would else surface in Airflow's Dag processor, away from the line that is wrong. What is read here
is what crontab(5) knows: five fields of `*`, numbers, names, ranges, lists and steps; and `@hourly` to
`@yearly`.
"""

import re

ALIASES = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_LONGEST = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))
_PART = re.compile(r"(?:\*|(?P<first>[0-9]+|[a-z]{3})(?:-(?P<last>[0-9]+|[a-z]{3}))?)(?:/(?P<step>[0-9]+))?")


def cron_problem(text: str) -> str | None:
    """Say what is wrong with a cron expression; None when nothing is.

    >>> cron_problem("0 2 * * 1") is None
    True
    >>> cron_problem("0 25 * * *")
    "hour '25' is not within 0 to 23"
    >>> cron_problem("0 0 31 2 *")
    'no such month has such a day: it would never come'
    """
    if text in ALIASES:
        return None
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        return "expected five fields (minute, hour, day, month, day of the week) such as '0 2 * * 1'"
    chosen: list[set[int]] = []
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        values = _values(part, low, high, names)
        if values is None:
            return f"{name} {part!r} is not within {low} to {high}"
        chosen.append(values)
    days, months = chosen[2], chosen[3]
    if parts[4] == "*" and not any(day <= _LONGEST[month] for day in days for month in months):
        return "no such month has such a day: it would never come"
    return None


def _values(field: str, low: int, high: int, names: dict[str, int]) -> set[int] | None:
    """List what one field stands for; None where it is none."""
    chosen: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        first, last, step = match["first"], match["last"], int(match["step"] or 1)
        start = low if first is None else _number(first, names)
        end = _number(last, names) if last else (high if first is None or match["step"] else start)
        if not low <= start <= end <= high or step < 1:
            return None
        chosen.update(range(start, end + 1, step))
    return chosen


def _number(text: str, names: dict[str, int]) -> int:
    """Read a number or a name; -1, outside every field, for a name that is none."""
    return int(text) if text.isdigit() else names.get(text, -1)

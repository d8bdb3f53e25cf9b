"""What a run of the demo says, in sentences made from its numbers."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from airflow_provider_ifp.report.wording import day, fixed, month_name, month_span, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.report.records import DemoRecord, Month, Run

# More turns than this, and the months are told in one sum.
MAX_STRETCHES = 3
MAX_TOLD = 2
REACHED_PRODUCTION = ("production", "archived")


def tell(demo: DemoRecord) -> str:
    """The page's first sentences: what drifted and what came of it, then what that was worth.

    Every number in them is the record's; nothing that did not happen is told.
    """
    beginning = _tell_beginning(demo)
    if beginning is not None:
        return beginning
    firings = [(month, run) for month in checked(demo) if month.fired and (run := run_of(demo, month))]
    if not firings:
        return _tell_quiet(demo)
    told = firings if len(firings) <= MAX_TOLD else firings[-1:]
    count = f"The loop fired {len(firings)} times; the last time: " if len(told) < len(firings) else ""
    return " ".join(
        [count + _tell_firing(demo, *told[0]), *(_tell_firing(demo, *f) for f in told[1:]), *tell_worth(demo)]
    )


def checked(demo: DemoRecord) -> list[Month]:
    """The months in which a version in production was checked for drift; not the one that began with none."""
    return [month for month in demo.months if month.psi is not None]


def run_of(demo: DemoRecord, month: Month) -> Run | None:
    """The run that looked at a month."""
    return next((run for run in demo.runs if run.as_of == month.as_of), None)


def reached_production(demo: DemoRecord, version: str) -> bool:
    """Whether a version was ever in production, by its stage or by the months that it answered."""
    staged = any(v.version == version and v.stage in REACHED_PRODUCTION for v in demo.versions)
    return staged or any(month.version == version for month in demo.months)


def promotions(demo: DemoRecord) -> list[Run]:
    """The runs that put a version into production, in order."""
    return [run for run in demo.runs if run.fired and run.version and reached_production(demo, run.version)]


def pooled(values: Sequence[tuple[float, int]], metric: str) -> float:
    """The metric of several months as one, from (value, rows) of each.

    A root of a mean square is pooled by its square; anything else by its mean over rows.

    >>> round(pooled([(3.0, 10), (4.0, 10)], "rmse"), 4), pooled([(3.0, 10), (4.0, 30)], "mae")
    (3.5355, 3.75)
    """
    rows = sum(count for _, count in values)
    if metric == "rmse":
        return math.sqrt(sum(value**2 * count for value, count in values) / rows)
    return sum(value * count for value, count in values) / rows


def tell_worth(demo: DemoRecord) -> list[str]:
    """What the later versions were worth: their error beside the first version's on the same rows.

    Stretches of months in which they were better and in which they were worse are told apart: a world that
    turns back must not be averaged away.
    """
    first = next((month.version for month in demo.months if month.version), None)
    later = [
        month
        for month in demo.months
        if month.version not in (None, first)
        and month.rmse is not None
        and month.rmse_first is not None
        and month.rows
    ]
    stretches = [list(group) for _, group in groupby(later, key=_is_better)]
    if len(stretches) > MAX_STRETCHES:
        stretches = [later]
    return [_tell_stretch(demo, stretch, first or "") for stretch in stretches]


def tell_swap(run: Run) -> list[str]:
    """What users saw of it; empty: nobody asked meanwhile."""
    if run.swap is None:
        return []
    count = sum(run.swap.answered.values()) + run.swap.failed
    who = ", then ".join(f"version {name} answered {some:,}" for name, some in run.swap.answered.items())
    failed = f"{run.swap.failed:,} failed" if run.swap.failed else "none failed"
    return [f"Of {count:,} requests that came meanwhile, {who}, and {failed}."]


def _error(value: float) -> str:
    return fixed(value, 1) if value >= 1 else number(value)


def _is_better(month: Month) -> bool:
    return (month.rmse or 0.0) <= (month.rmse_first or 0.0)


def _tell_stretch(demo: DemoRecord, months: Sequence[Month], first: str) -> str:
    versions = list(dict.fromkeys(month.version for month in months))
    who = "it errs" if len({m.version for m in demo.months if m.version not in (None, first)}) == 1 else None
    if who is None:
        who = f"version {versions[0]} errs" if len(versions) == 1 else "the versions in production err"
    error = pooled([(month.rmse or 0.0, month.rows) for month in months], demo.metric)
    other = pooled([(month.rmse_first or 0.0, month.rows) for month in months], demo.metric)
    return (
        f"{month_span([month.month for month in months])} {who} by {_error(error)}"
        f" {demo.unit}; version {first} would have erred by {_error(other)}."
    )


def _tell_beginning(demo: DemoRecord) -> str | None:
    """The sentence of a demo in which production answered nothing yet, or None."""
    if checked(demo):
        return None
    if not demo.runs:
        return "No run of the loop has ended, so there is nothing to tell yet."
    run = demo.runs[-1]
    when = f"as of {day(run.as_of)}"
    if run.version is None:
        return f"The loop ran {when} and registered no version: {run.reason}."
    if reached_production(demo, run.version):
        return (
            f"Version {run.version} was trained, judged and put into production {when};"
            " no month that it answered has been checked yet."
        )
    why = f": {run.verdict.reason}" if run.verdict else ""
    return f"No version is in production: version {run.version}, trained {when}, did not get there{why}."


def _tell_quiet(demo: DemoRecord) -> str:
    months = checked(demo)
    worst = max(months, key=lambda month: month.psi or 0.0)
    versions = [month.version for month in months if month.version]
    stays = f" version {versions[-1]} stays in production." if versions else " nothing changed in production."
    span = month_span([month.month for month in months])
    return (
        f"{span}: nothing fired. The largest PSI was {number(worst.psi)}"
        f" ({worst.feature}, {month_name(worst.month)}) against the threshold of {demo.threshold:.2f};{stays}"
    )


def _tell_firing(demo: DemoRecord, month: Month, run: Run) -> str:
    drifted = (month.psi or 0.0) > demo.threshold
    noticed = (
        f"Drift in {month_name(month.month)} was noticed on {day(month.as_of)}"
        if drifted
        else f"The loop fired on {day(month.as_of)} ({month.reason})"
    )
    if run.version is None:
        return f"{noticed}; no version came of it."
    if reached_production(demo, run.version):
        done = f"{noticed}; version {run.version} was trained, judged and put into production the same run."
        return " ".join([done, *tell_swap(run)])
    why = f": {run.verdict.reason}" if run.verdict else ""
    return f"{noticed}; version {run.version} was trained and judged, and did not reach production{why}."

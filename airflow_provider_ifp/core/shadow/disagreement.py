"""The disagreement as checks of a verdict: S against its limit, what it is made of, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.figures import figures
from airflow_provider_ifp.core.metrics.proportions import rows_for, upper_bound
from airflow_provider_ifp.core.registry.verdict import Check, Outcome
from airflow_provider_ifp.core.shadow.statistic import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.core.policy.sections import ShadowSection
    from airflow_provider_ifp.core.shadow.statistic import Cell, Disagreement

WORTH_NAMING: Final = 0.05
"""Of the disagreement, that a cell must make to be named."""
NAMED: Final = 5
"""Cells, and slices that raise the alarm, that are named with their numbers."""


def disagreement_checks(found: Disagreement, rules: ShadowSection) -> list[Check]:
    """Hold S against `max_disagreement`, and slices against `slice_alarm`; show the rest.

    Returns:
        `disagreement`, its parts (`uncovered`, `not_judged_by_labels`, `beyond_holdout`), the worst `cell`s,
        the values of each `slice` that the policy names, and `slice_alarm`.
    """
    rows = found.requests
    check = _total_check(found, rules.max_disagreement)
    ask = "; label some of these" if found.unjudged else ""
    return [
        check,
        _shown(
            "uncovered",
            found.uncovered / rows,
            rows,
            f"{found.uncovered:,} requests are such as the holdout hardly knows",
        ),
        _shown(
            "not_judged_by_labels",
            found.unjudged / rows,
            rows,
            f"{found.unjudged:,} of these differ: not judged by labels{ask}",
        ),
        _shown(
            "beyond_holdout",
            found.excess / rows,
            rows,
            f"of the others {found.excess:,.0f} differ beyond what the holdout's rows like them do",
        ),
        *_cell_checks("cell", _worst(found), "fail" if check.verdict == "fail" else "pass", of=rows),
        *_cell_checks("slice", found.slices, "pass"),
        *_alarm_checks(found, rules.slice_alarm),
    ]


def _worst(found: Disagreement) -> tuple[Cell, ...]:
    """The cells that make up the disagreement; what chance adds here and there is not worth a name."""
    least = WORTH_NAMING * (found.unjudged + found.excess)
    return tuple(cell for cell in found.cells if cell.counted >= least)[:NAMED]


def newer_check(found: Disagreement) -> Check:
    """Show what the requests from after the holdout's end look like; they decide nothing."""
    rows = found.requests
    reason = (
        f"{rows:,} newer requests, from after the holdout's end: {percent(found.differing / rows)} differ, "
        f"{percent(found.uncovered / rows)} are such as the holdout hardly knows, at most "
        f"{percent(found.upper)} not vouched for; shown only"
    )
    return _shown("newer_requests", found.upper, rows, reason)


def _total_check(found: Disagreement, most: float) -> Check:
    rows = found.requests
    of_upper, of_limit = (f"{text}%" for text in figures([100 * found.upper, 100 * most], 3))
    told = (
        f"{percent(found.differing / rows)} of {rows:,} requests differ; not vouched for by the holdout "
        f"({found.holdout_rows:,} rows) at most {of_upper}"
    )
    verdict: Outcome = "pass"
    if found.upper <= most:
        reason = f"{told} <= {of_limit} = max_disagreement"
    elif (found.unjudged + found.excess) <= most * rows and upper_bound(0, rows) > most:
        needed = rows_for(most)
        many = f"{needed:,} or more are needed" if needed else "no number would"
        verdict, reason = (
            "inconclusive",
            (f"{told} > {of_limit} = max_disagreement, but so few pairs cannot show less; {many}"),
        )
    else:
        verdict, reason = "fail", f"{told} > {of_limit} = max_disagreement"
    return Check(
        name="disagreement", value=found.upper, bound=most, rows=rows, verdict=verdict, reason=reason
    )


def _alarm_checks(found: Disagreement, alarm: float) -> list[Check]:
    if found.alarms:
        return _cell_checks("slice_alarm", found.alarms[:NAMED], "fail", bound=alarm)
    none = "no slice that the holdout hardly knows differs beyond anything seen there"
    return [Check(name="slice_alarm", bound=alarm, rows=found.requests, verdict="pass", reason=none)]


def _cell_checks(
    name: str, cells: Sequence[Cell], verdict: Outcome, *, of: int | None = None, bound: float | None = None
) -> list[Check]:
    """One check a cell; its value is a share of all requests, or of its own."""
    return [
        Check(
            name=name,
            slice=cell.name,
            value=min(1.0, cell.counted / (of or cell.requests)),
            bound=bound,
            rows=cell.requests,
            verdict=verdict,
            reason=cell.reason,
        )
        for cell in cells
    ]


def _shown(name: str, value: float, rows: int, reason: str) -> Check:
    return Check(name=name, value=value, rows=rows, verdict="pass", reason=reason)

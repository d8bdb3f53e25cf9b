"""`report.html` of a verdict: the sentence, the numbers it rests on, the identities it binds."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.gates.evidence import Evidence
from airflow_provider_ifp.report.charts.interval import Span, draw_spans
from airflow_provider_ifp.report.evidence import draw_evidence
from airflow_provider_ifp.report.markup import Child, Markup, element, render
from airflow_provider_ifp.report.page import Column, code, draw_table, list_facts, mark_verdict, write_page
from airflow_provider_ifp.report.records import CheckRecord, VerdictRecord, read_record
from airflow_provider_ifp.report.shadow import draw_shadow
from airflow_provider_ifp.report.wording import number, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTHING = Evidence()
WORDS = {"pass": "passes", "fail": "fails", "inconclusive": "cannot be judged"}


def verdict_page(verdict: Mapping[str, Any], evidence: Evidence = NOTHING) -> str:
    """The page of one verdict.

    Args:
        verdict: JSON of contract section 6, as it stands in `ifp/validation.json` and `ifp/shadow.json`.
        evidence: What a reader wants to see besides.

    Returns:
        A whole HTML document that needs no network.

    Raises:
        IfpError: the record lacks a key or has a wrong type.
    """
    record = read_record(VerdictRecord, verdict, what="this verdict")
    sentence = tell_verdict(record)
    return write_page(
        title=f"{record.verdict}: {_candidate(record)}",
        sentence=sentence,
        body=[
            element("p", f"{record.gate} gate · {_against(record)}", class_="facts"),
            _waiver(record),
            *(draw_shadow(record.checks) if record.gate == "shadow" else ()),
            *(element("p", warning, class_="note") for warning in record.warnings),
            element("h2", "Checks"),
            draw_checks(record.checks),
            *(draw_intervals(record.checks) if record.gate != "shadow" else ()),
            *draw_evidence(evidence),
            element("h2", "What was judged"),
            list_identities(record),
        ],
    )


def tell_verdict(record: VerdictRecord) -> Markup:
    """Who, the verdict, and its reason in numbers."""
    return render(
        f"{_candidate(record)} ",
        element("span", WORDS[record.verdict], class_=record.verdict),
        f": {record.reason.rstrip('.')}.",
    )


def draw_checks(checks: Sequence[CheckRecord]) -> Markup:
    """The table of checks; numbers of one check are written so that unequal ones look unequal."""
    columns = [
        Column(name="check"),
        Column(name="value", kind="number"),
        Column(name="against", kind="number"),
        Column(name="bound", kind="number"),
        Column(name="interval", kind="number"),
        Column(name="rows", kind="number"),
        Column(name="verdict", kind="verdict"),
    ]
    return draw_table(
        columns,
        [_row(check) for check in checks],
        caption="Each check, its reason, and the numbers that it rests on",
        narrow="stacked",
    )


def draw_intervals(checks: Sequence[CheckRecord]) -> list[Markup]:
    """One chart for each metric that has finite intervals: metrics differ in their unit."""
    drawn = sorted((c for c in checks if _finite_interval(c)), key=lambda check: check.metric or check.name)
    return [_figure(metric, list(group)) for metric, group in groupby(drawn, lambda c: c.metric or c.name)]


def list_identities(record: VerdictRecord) -> Markup:
    """What the verdict is bound to: change one of them, and it says nothing."""
    return list_facts(
        [
            ("model", record.model),
            ("version", record.version),
            ("content digest", code(record.content_digest)),
            (
                "compared to",
                _version(record.compared_to) if record.compared_to else "no version in production",
            ),
            ("holdout digest", code(record.holdout_digest)),
            ("policy digest", code(record.policy_digest)),
            ("enforced", "yes" if record.enforced else "no: a dry run stops nothing"),
        ]
    )


def difference(check: CheckRecord) -> tuple[float, float | None] | None:
    """Candidate - production in the better direction, and the difference that would pass.

    A check holds the metric's values, not its direction. The interval lies around the difference in the
    better direction, so of value - against and its negative the one nearer to the interval's middle is it.

    >>> check = CheckRecord(name="comparison", metric="rmse", value=9.9, against=14.9, bound=15.0,
    ...                     interval=(4.6, 5.4), verdict="pass", reason="better by 5")
    >>> [round(x, 9) for x in difference(check)]
    [5.0, -0.1]
    """
    interval = _finite_interval(check)
    if interval is None or check.value is None or check.against is None:
        return None
    plain = check.value - check.against
    if not math.isfinite(plain):
        return None
    middle = sum(interval) / 2
    sign = 1.0 if abs(plain - middle) <= abs(-plain - middle) else -1.0
    needed = sign * (check.bound - check.against) if check.bound is not None else None
    return sign * plain, needed


def _figure(metric: str, checks: Sequence[CheckRecord]) -> Markup:
    spans = [_draw_span(check) for check in checks]
    differences = [found for check in checks if (found := difference(check))]
    needed = {round(d[1], 12) for d in differences if d[1] is not None}
    tolerance = needed.pop() if len(needed) == 1 else None
    told = "; ".join(f"{span.label}: {span.text}" for span in spans)
    chart = draw_spans(
        spans,
        needed=tolerance,
        needed_text=f"needed: {number(tolerance)}",
        title=f"{metric}: candidate minus production, in the better direction",
        description=told,
    )
    caption = element(
        "figcaption",
        f"How much better in {metric}",
        element(
            "small",
            "Candidate minus production on the same rows; right is better. The line is the paired interval.",
        ),
    )
    return element("figure", caption, chart)


def _draw_span(check: CheckRecord) -> Span:
    low, high = _finite_interval(check) or (0.0, 0.0)
    found = difference(check)
    interval = f"{number(low)} to {number(high)}"
    return Span(
        label=check.slice or "all rows",
        low=low,
        high=high,
        point=found[0] if found else None,
        verdict=check.verdict,
        text=f"{number(found[0])} ({interval})" if found else interval,
    )


def _finite_interval(check: CheckRecord) -> tuple[float, float] | None:
    if check.interval is None:
        return None
    low, high = check.interval
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high


def _row(check: CheckRecord) -> list[Child]:
    metric = check.metric if check.metric and check.metric not in check.name else None
    name = " · ".join(part for part in (check.name, metric, check.slice) if part)
    interval = check.interval
    return [
        render(name, element("small", check.reason)),
        *numbers([check.value, check.against, check.bound]),
        number(None) if interval is None else f"{number(interval[0])} to {number(interval[1])}",
        number(check.rows, 9),
        mark_verdict(check.verdict),
    ]


def _candidate(record: VerdictRecord) -> str:
    if record.version is None:
        return f"The candidate for {record.model}" if record.model else "The candidate"
    named = _version(record.version)
    named = named[0].upper() + named[1:]
    return f"{named} of {record.model}" if record.model else named


def _against(record: VerdictRecord) -> str:
    if not record.compared_to:
        return "no version was in production"
    known = record.compared_to.isdecimal()
    return f"production was version {record.compared_to}" if known else "held against production's answers"


def _version(name: str) -> str:
    """A version by its number; by the column of its answers where no registry knows it."""
    return f"version {name}" if name.isdecimal() else name


def _waiver(record: VerdictRecord) -> Markup | None:
    if record.enforced:
        return None
    text = "Not enforced: the policy's mode is dry_run, so this verdict is recorded and stops nothing."
    return element("p", text, class_="note")

"""What only a shadow verdict's page has: where the versions differ, and how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.interval import Span, draw_spans
from airflow_provider_ifp.report.markup import Markup, element, render
from airflow_provider_ifp.report.page import list_facts
from airflow_provider_ifp.report.wording import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.report.records import CheckRecord

_SHARES = {
    "disagreement": "not vouched for by the holdout, at most",
    "uncovered": "requests that the holdout hardly knows",
    "not_judged_by_labels": "of them differ: not judged by labels",
    "beyond_holdout": "others that differ beyond the holdout",
}
_LATENCY = "latency_"


def draw_shadow(checks: Sequence[CheckRecord]) -> list[Markup]:
    """The disagreement with the cells that make it up, and the latency ratios; empty where none was measured.

    Args:
        checks: Of a verdict of the shadow gate.
    """
    by_name = {check.name: check for check in checks}
    shares = [
        (text, f"{by_name[name].value or 0:.2%}{_limit(by_name[name])}")
        for name, text in _SHARES.items()
        if name in by_name
    ]
    cells = [check for check in checks if check.name in {"cell", "slice_alarm"} and check.slice is not None]
    parts: list[Markup] = []
    if shares:
        parts += [element("h2", "Where they differ"), list_facts(shares)]
    if cells:
        parts.append(element("ul", *(_cell(check) for check in cells)))
    return [*parts, *_draw_latency([check for check in checks if check.name.startswith(_LATENCY)])]


def _limit(check: CheckRecord) -> str:
    return "" if check.bound is None else f" ({check.bound:.2%} allowed)"


def _cell(check: CheckRecord) -> Markup:
    alarm = element("strong", "alarm: ", class_=check.verdict) if check.name == "slice_alarm" else None
    return element("li", render(alarm, check.reason))


def _draw_latency(checks: Sequence[CheckRecord]) -> list[Markup]:
    """Ratios as what is on top of production's time: zero is as fast, right is slower."""
    spans, limits = [], set()
    for check in checks:
        if check.interval is None or None in check.interval or check.value is None:
            continue
        low, high = (float(end or 0.0) for end in check.interval)
        limits.add(check.bound)
        spans.append(
            Span(
                label=check.name.removeprefix(_LATENCY),
                low=low - 1,
                high=high - 1,
                point=check.value - 1,
                verdict=check.verdict,
                text=f"{number(check.value)} times ({number(low)} to {number(high)})",
            )
        )
    if not spans:
        return []
    held = [limit for limit in limits if limit is not None]
    needed = held[0] - 1 if len(held) == 1 else None
    chart = draw_spans(
        spans,
        needed=needed,
        needed_text=f"limit: {number(held[0])} times" if needed is not None else "",
        title="How long the candidate takes, against production on the same requests",
        description="; ".join(f"{span.label}: {span.text}" for span in spans),
    )
    caption = element(
        "figcaption",
        "Latency",
        element("small", "Candidate over production; right is slower. The line is the 95% interval."),
    )
    return [element("figure", caption, chart)]

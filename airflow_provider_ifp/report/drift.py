"""`drift.html`: the sentence, the features ranked, and for those that moved what moved, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.report.charts.share import Share, draw_shares
from airflow_provider_ifp.report.charts.trend import draw_trend
from airflow_provider_ifp.report.drift_records import DriftRecord
from airflow_provider_ifp.report.markup import Child, Markup, element, render
from airflow_provider_ifp.report.page import Column, draw_table, list_facts, mark_verdict, write_page
from airflow_provider_ifp.report.records import read_record
from airflow_provider_ifp.report.wording import NONE, clock, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.report.drift_records import (
        BinRecord,
        ErrorRecord,
        FeatureRecord,
        WindowRecord,
    )

SHOWN = 6
"""Features drawn even when none drifted: the farthest moved."""
MOST_BINS = 16
AT_ONCE = 12
"""Rows of the table that are seen at once; the others fold away."""
_SENTENCES: dict[bool | None, tuple[str, str]] = {
    True: ("fail", "drifted"),
    False: ("pass", "no drift"),
    None: ("inconclusive", "undecided"),
}


def drift_page(record: Mapping[str, Any]) -> str:
    """The page of one check.

    Args:
        record: Format `ifp.drift/1`.

    Returns:
        A whole HTML document that needs no network.

    Raises:
        IfpError: the record lacks a key or has a wrong type.
    """
    read = read_record(DriftRecord, record, what="this drift check")
    drawn = _worth_drawing(read.features)
    return write_page(
        title=f"{_SENTENCES[read.drifted][1]}: {read.model}",
        sentence=tell_drift(read),
        body=[
            element("p", _where(read), class_="facts"),
            *(element("p", note, class_="note") for note in read.notes),
            element("h2", "Features, the farthest moved first"),
            *_tables(read.features),
            element("h2", "Before and now") if drawn else None,
            *map(_figure, drawn),
            *_values(read.features),
            *_error(read.error),
            element("h2", "What was compared"),
            _facts(read),
        ],
    )


def tell_drift(record: DriftRecord) -> Markup:
    """The answer and its reason in numbers."""
    class_, words = _SENTENCES[record.drifted]
    reason = record.reason.rstrip(".")
    if words not in reason:
        return render(element("span", words, class_=class_), f": {reason}.")
    before, _, after = reason.partition(words)
    return render(before, element("span", words, class_=class_), f"{after}.")


def _where(record: DriftRecord) -> str:
    return f"{record.model} version {record.version} · {_span(record.window)}"


def _span(window: WindowRecord) -> str:
    start = "the beginning" if window.start is None else clock(window.start)
    return f"{start} to {clock(window.end)}"


def _worth_drawing(features: Sequence[FeatureRecord]) -> list[FeatureRecord]:
    """Those that drifted, and the farthest moved besides."""
    with_bins = [one for one in features if one.bins]
    drifted = [one for one in with_bins if one.verdict == "drifted"]
    others = [one for one in with_bins if one.verdict != "drifted"]
    return [*drifted, *others[: max(0, SHOWN - len(drifted))]]


def _tables(features: Sequence[FeatureRecord]) -> list[Markup]:
    """The table; of many features the end folds away."""
    first, rest = features[:AT_ONCE], features[AT_ONCE:]
    tables = [_table(first, "Each feature, its reason, and the numbers that it rests on")]
    if rest:
        folded = _table(rest, "The features that moved least")
        tables.append(element("details", element("summary", f"{len(rest)} more features"), folded))
    return tables


def _table(features: Sequence[FeatureRecord], caption: str) -> Markup:
    columns = [
        Column(name="feature"),
        Column(name="PSI", kind="number"),
        Column(name="by chance", kind="number"),
        Column(name="p", kind="number"),
        Column(name="missing before", kind="number"),
        Column(name="missing now", kind="number"),
        Column(name="verdict", kind="verdict"),
    ]
    return draw_table(columns, [_row(one) for one in features], caption=caption, narrow="stacked")


def _row(one: FeatureRecord) -> list[Child]:
    return [
        render(one.title, element("small", one.reason)),
        number(one.psi),
        number(one.expected_by_chance, 1),
        "<1e-300" if one.p_value == 0 else number(one.p_value, 2),
        _percent(one.missing.get("reference")),
        _percent(one.missing.get("current")),
        mark_verdict(one.verdict),
    ]


def _figure(one: FeatureRecord) -> Markup:
    bins = _largest(one.bins)
    caption = element(
        "figcaption",
        one.name,
        element(
            "small",
            element("span", "reference", class_="key before"),
            element("span", "current window", class_="key now"),
        ),
    )
    shares = draw_shares(
        [Share(label=each.bin, reference=each.reference, current=each.current) for each in bins],
        title=f"{one.name}: the share of rows in each bin, before and now",
        description=f"{one.name}: {one.reason}",
    )
    return element("figure", caption, shares, _trend(one))


def _trend(one: FeatureRecord) -> Markup | None:
    if sum(block.psi is not None for block in one.over_time) <= 1:
        return None
    ends = [f"{datetime.fromisoformat(block.end):%Y-%m-%d}" for block in one.over_time]
    values = [block.psi for block in one.over_time]
    largest = max(value for value in values if value is not None)
    note = element("p", "PSI of each block of time by itself", class_="trend")
    return render(
        note,
        draw_trend(
            ends,
            values,
            limit=None,
            title=f"{one.name}: PSI through time",
            description=f"from {ends[0]} to {ends[-1]}; at most {number(largest)}",
        ),
    )


def _largest(bins: Sequence[BinRecord]) -> list[BinRecord]:
    """All bins, or of many those that changed most, in their order."""
    if len(bins) <= MOST_BINS:
        return list(bins)
    ranked = sorted(range(len(bins)), key=lambda place: -abs(bins[place].current - bins[place].reference))
    return [bins[place] for place in sorted(ranked[:MOST_BINS])]


def _values(features: Sequence[FeatureRecord]) -> list[Markup]:
    """Values that came or went."""
    rows: list[list[Child]] = [
        [one.title, _named(one.new_categories), ", ".join(one.lost_categories) or NONE]
        for one in features
        if one.new_categories or one.lost_categories
    ]
    if not rows:
        return []
    columns = [Column(name="feature"), Column(name="new", kind="long"), Column(name="gone", kind="long")]
    table = draw_table(columns, rows, caption="With the rows of each new value", narrow="stacked")
    return [element("h2", "Values that came and went"), table]


def _named(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({rows:,})" for name, rows in values.items()) or NONE


def _error(error: ErrorRecord | None) -> list[Markup]:
    """How wrong the answers were, where labels have come: it is shown, and decides nothing."""
    if error is None:
        return []
    if error.rmse is not None:
        before, now = (number(error.rmse.get(side)) for side in ("reference", "current"))
        size = f"Root mean square error {now}, {before} on the holdout"
    else:
        before, now = (_percent((error.wrong or {}).get(side)) for side in ("reference", "current"))
        size = f"{now} of the answers were wrong, {before} on the holdout"
    of_all = "" if error.answered is None else f" of {error.answered:,}"
    return [
        element("h2", "How wrong the answers were"),
        element(
            "p",
            f"{size}; {error.labelled:,}{of_all} answers have a label. ",
            mark_verdict(error.verdict),
            f": {error.reason}. It is shown beside the check, and decides nothing.",
        ),
        _figure(error),
    ]


def _facts(record: DriftRecord) -> Markup:
    return list_facts(
        [
            ("reference", f"{record.reference}: {record.rows['reference']:,} rows"),
            ("current window", f"{_span(record.window)}: {record.rows['current']:,} rows"),
            ("PSI", "sum over ten bins of (current - reference) x ln(current / reference); 0 is no change"),
            ("by chance", "the PSI that two such windows of one distribution show on average"),
            ("p", "how often chance alone gives as large a difference (chi-square), of this feature alone"),
        ]
    )


def _percent(share: float | None) -> str:
    return NONE if share is None else "0" if not share else f"{share:.2%}"

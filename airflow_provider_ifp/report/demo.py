"""The demo's report: what happened, month by month, and what it was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.report.charts.months import draw_bars, draw_lines
from airflow_provider_ifp.report.demo_story import checked, promotions, tell
from airflow_provider_ifp.report.markup import Child, Markup, element, render
from airflow_provider_ifp.report.page import Column, code, draw_table, list_facts, mark_verdict, write_page
from airflow_provider_ifp.report.records import DemoRecord, Month, Run, read_record
from airflow_provider_ifp.report.wording import clock, day, duration, fixed, month_name, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def demo_page(record: Mapping[str, Any]) -> str:
    """The report of one run of `ifp demo`.

    Args:
        record: what `DemoRecord` lists.

    Returns:
        A whole HTML document that needs no network.

    Raises:
        IfpError: the record lacks a key or has a wrong type.
    """
    demo = read_record(DemoRecord, record, what="this demo's record")
    runs = f"{len(demo.runs)} runs of the loop in {duration(demo.seconds)}"
    facts = f"{demo.model} · {runs} · started {clock(demo.started)}"
    return write_page(
        title=f"{demo.model}: how the loop closed",
        sentence=render(tell(demo)),
        body=[
            element("p", facts, class_="facts"),
            _draw_error(demo),
            _draw_drift(demo),
            element("h2", "Months"),
            _draw_months(demo),
            element("h2", "Runs of the loop"),
            _draw_runs(demo.runs),
            element("h2", "Versions"),
            _draw_versions(demo),
            element("h2", "Where it ran"),
            _list_places(demo),
        ],
    )


def _draw_error(demo: DemoRecord) -> Markup | None:
    months = [month for month in demo.months if month.rmse is not None]
    if not months:
        return None
    name = demo.metric.upper()
    described = ", ".join(
        f"{month_name(m.month)} {number(m.rmse)} (first version {number(m.rmse_first)})" for m in months
    )
    chart = draw_lines(
        _labels(months),
        [month.rmse for month in months],
        [month.rmse_first for month in months],
        marks=_marks(demo, months),
        title=f"{name} by month, in {demo.unit}",
        description=described,
    )
    keys = element(
        "small",
        element("span", "the version in production", class_="key"),
        element("span", "the first version, had it stayed", class_="key first"),
    )
    return element("figure", element("figcaption", f"{name} by month, in {demo.unit}", keys), chart)


def _marks(demo: DemoRecord, months: Sequence[Month]) -> list[tuple[float, str]]:
    """Each promotion stands where the first month begins that its version answered."""
    starts = {month.version: float(index) for index, month in reversed(list(enumerate(months)))}
    return [
        (starts[run.version], f"version {run.version}") for run in promotions(demo) if run.version in starts
    ]


def _draw_drift(demo: DemoRecord) -> Markup | None:
    months = checked(demo)
    if not months:
        return None
    described = ", ".join(f"{month_name(m.month)} {number(m.psi)} of {m.feature}" for m in months)
    chart = draw_bars(
        _labels(months),
        [month.psi for month in months],
        [month.feature for month in months],
        limit=demo.threshold,
        title="Largest PSI by month",
        description=f"{described}; threshold {demo.threshold:.2f}",
    )
    note = element(
        "small",
        "Of the feature that moved furthest from what production was trained on ",
        element("span", f"threshold {demo.threshold:.2f}", class_="key limit"),
    )
    return element("figure", element("figcaption", "Largest PSI by month", note), chart)


def _labels(months: Sequence[Month]) -> list[str]:
    return [month_name(month.month, short=True) for month in months]


def _draw_months(demo: DemoRecord) -> Markup:
    columns = [
        Column(name="month"),
        Column(name="rows", kind="number", spare=True),
        Column(name="largest PSI", kind="number"),
        Column(name="feature"),
        Column(name="fired"),
        Column(name="version"),
        Column(name=demo.metric, kind="number"),
        Column(name="first version", kind="number"),
    ]
    rows: list[list[Child]] = [
        [
            month_name(month.month, short=True),
            number(month.rows, 9),
            fixed(month.psi, 3),
            month.feature or number(None),
            element("span", "fired", class_="alarm") if month.fired else "no",
            month.version or "none",
            fixed(month.rmse, 1),
            fixed(month.rmse_first, 1),
        ]
        for month in demo.months
    ]
    return draw_table(
        columns,
        rows,
        caption=f"{_years(demo)}: {demo.metric.upper()} in {demo.unit}, the first version on the same rows",
        narrow="compact",
        row_classes=["fired" if month.fired else None for month in demo.months],
    )


def _years(demo: DemoRecord) -> str:
    years = sorted({month.month[:4] for month in demo.months})
    return " to ".join(dict.fromkeys([years[0], years[-1]])) if years else "No month"


def _draw_runs(runs: Sequence[Run]) -> Markup:
    columns = [
        Column(name="as of"),
        Column(name="the check said", kind="long"),
        Column(name="version"),
        Column(name="verdict", kind="long"),
        Column(name="took", kind="number"),
    ]
    return draw_table(
        columns,
        [
            [
                day(run.as_of),
                render(element("span", "fired: ", class_="alarm") if run.fired else None, run.reason),
                run.version or number(None),
                _tell_judgement(run),
                duration(run.seconds),
            ]
            for run in runs
        ],
        caption="What each run of the Dag saw and did",
        narrow="stacked",
    )


def _tell_judgement(run: Run) -> Child:
    if run.verdict is None:
        return number(None)
    said = [("", run.verdict), *([("shadow: ", run.shadow)] if run.shadow else [])]
    lines = [
        element("div", gate, mark_verdict(verdict.verdict), f": {verdict.reason}") for gate, verdict in said
    ]
    return render(*lines)


def _draw_versions(demo: DemoRecord) -> Markup:
    columns = [
        Column(name="version"),
        Column(name="stage"),
        Column(name="trained on"),
        Column(name="rows", kind="number"),
        Column(name="created"),
        Column(name="content digest"),
    ]
    return draw_table(
        columns,
        [
            [
                version.version,
                version.stage or "none",
                f"{version.data_start[:10]} to {version.data_end[:10]}"
                if version.data_start and version.data_end
                else number(None),
                number(version.data_rows, 9),
                clock(version.created) if version.created else number(None),
                code(version.content_digest),
            ]
            for version in demo.versions
        ],
        caption="Immutable entries of the registry, known by the digest of their content",
        narrow="stacked",
    )


def _list_places(demo: DemoRecord) -> Markup:
    addresses = demo.addresses
    return list_facts(
        [
            ("Airflow", element("a", addresses.airflow, href=addresses.airflow) if addresses else None),
            ("MLflow", element("a", addresses.mlflow, href=addresses.mlflow) if addresses else None),
            ("server", code(addresses.server) if addresses and addresses.server else None),
            ("home", code(demo.home)),
            ("started", clock(demo.started)),
            ("took", duration(demo.seconds)),
        ]
    )

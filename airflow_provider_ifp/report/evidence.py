"""How the answers err, and what drifted before: what a verdict's page shows besides the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.share import Share, draw_shares
from airflow_provider_ifp.report.markup import Child, Markup, element
from airflow_provider_ifp.report.page import Column, draw_table

if TYPE_CHECKING:
    from airflow_provider_ifp.core.gates.evidence import Evidence

_PLOTS = {
    "residuals": ("Errors on the holdout: prediction less label", "production", "candidate"),
    "calibration": ("What the scores promise, and what came true", "mean score", "share that was positive"),
}


def draw_evidence(evidence: Evidence) -> list[Markup]:
    """The plot, and a table of the features that drifted; nothing where there is neither."""
    parts = []
    if evidence.plot is not None:
        parts += [element("h2", "How the answers err"), _figure(evidence)]
    if evidence.drifted:
        rows: list[list[Child]] = [[name, reason] for name, reason in evidence.drifted]
        table = draw_table(
            [Column(name="feature"), Column(name="why", kind="long")],
            rows,
            caption=f"At production's newest drift check, {evidence.drift_window}",
            narrow="stacked",
        )
        parts += [element("h2", "What had drifted"), table]
    return parts


def _figure(evidence: Evidence) -> Markup:
    title, first, second = _PLOTS[str(evidence.plot)]
    both = evidence.plot == "calibration" or evidence.compared
    keys = [element("span", second, class_="key now")]
    if both:
        keys.insert(0, element("span", first, class_="key before"))
    chart = draw_shares(
        [
            Share(label=bar.name, reference=bar.first if both else None, current=bar.second)
            for bar in evidence.bars
        ],
        title=title,
        between=" · ",
        description="; ".join(f"{bar.name}: {bar.second:.1%}" for bar in evidence.bars),
    )
    return element("figure", element("figcaption", title, element("small", *keys)), chart)

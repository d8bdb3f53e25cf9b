"""All that is measured for one feature of a window, before anything is decided."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.drift.chance import chance
from airflow_provider_ifp.core.drift.distances import (
    Distance,
    jensen_shannon,
    kolmogorov_smirnov,
    wasserstein,
)
from airflow_provider_ifp.core.drift.psi import divergence, effect, effect_error, expected_by_chance, freedom
from airflow_provider_ifp.core.profile.counting import coarsen, no_rows
from airflow_provider_ifp.core.profile.summary import (
    CategorySummary,
    NumberSummary,
    summarize_categories,
    summarize_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.profile.counts import Counts, Grid
    from airflow_provider_ifp.core.profile.feature import Simple


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The statistics of one feature. What cannot be computed is None; shares are 0 to 1.

    Attributes:
        name: the feature.
        segment: the segment, as `region=north`; None: all rows.
        rows: `reference` and `current`.
        missing: share of rows without a value, `reference` and `current`; None where there are no rows.
        obstacle: why nothing can be decided; None where something can.
        psi: the plain value of the contract's section 9.
        expected_by_chance: the PSI that two such windows of one distribution show on average.
        free_bins: how many bins of the PSI can differ freely.
        effect: PSI with the tails in bins of their own, less what chance gives.
        effect_error: its standard error.
        effect_by_chance: what was taken off.
        free_bins_with_tails: how many bins of the effect can differ freely.
        noise: the largest effect between blocks of time of the reference; None: not measured.
        p_value: Pearson's chi-square with the tails in bins of their own, before adjustment; None: too few
            rows to tell.
        js: the Jensen-Shannon distance on the same bins.
        js_by_chance: what chance alone gives.
        ks, wasserstein: distances of numbers.
        numbers, categories: the summary, by the feature's kind.
    """

    name: str
    segment: str | None = None
    rows: Mapping[str, int]
    missing: Mapping[str, float | None]
    obstacle: str | None = None
    psi: float | None = None
    expected_by_chance: float | None = None
    free_bins: int = 0
    effect: float | None = None
    effect_error: float = 0.0
    effect_by_chance: float | None = None
    free_bins_with_tails: int = 0
    noise: float | None = None
    p_value: float | None = None
    js: float | None = None
    js_by_chance: float | None = None
    ks: Distance | None = None
    wasserstein: Distance | None = None
    numbers: NumberSummary | None = None
    categories: CategorySummary | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the contract's keys, null where there is nothing, and the others where computed."""
        known: dict[str, Any] = {
            "segment": self.segment,
            "ks": self.ks and self.ks.value,
            "ks_bound": self.ks and self.ks.bound,
            "ks_p_value": self.ks and self.ks.p_value,
            "wasserstein": self.wasserstein and self.wasserstein.value,
            "wasserstein_bound": self.wasserstein and self.wasserstein.bound,
            "js": self.js,
            "chi2_p_value": self.p_value,
            "psi_with_tails_debiased": self.effect,
            **(asdict(self.numbers) if self.numbers else {}),
        }
        if self.categories:
            known |= {**asdict(self.categories), "lost_categories": list(self.categories.lost_categories)}
        if self.psi is not None and self.expected_by_chance is not None:
            known["psi_debiased"] = self.psi - self.expected_by_chance
        return {
            "name": self.name,
            "psi": self.psi,
            "expected_by_chance": self.expected_by_chance,
            "p_value": self.p_value,
            "missing": dict(self.missing),
            **{key: value for key, value in known.items() if value is not None},
        }


def measure(feature: Simple, counts: Counts | None, segment: str | None = None) -> Measured:
    """Measure a window against its reference; None stands for a window that does not have the feature.

    Raises:
        DatasetError: the counts are on other bins than the profile's.
    """
    before, now = feature.counts, no_rows(feature) if counts is None else counts
    shares = {
        window: of.missing / of.rows if of.rows else None
        for window, of in (("reference", before), ("current", now))
    }
    rows = {"reference": before.rows, "current": now.rows}
    obstacle = _obstacle(before, counts)
    if not before.rows or not now.rows:
        return Measured(name=feature.name, segment=segment, rows=rows, missing=shares, obstacle=obstacle)
    old, new = with_tails(feature, now)
    old_tenths, new_tenths = (coarsen(feature, one, "deciles") for one in (old, new))
    by_chance = expected_by_chance(old, new)
    return Measured(
        name=feature.name,
        segment=segment,
        rows=rows,
        missing=shares,
        obstacle=obstacle,
        psi=divergence(old_tenths, new_tenths),
        expected_by_chance=expected_by_chance(old_tenths, new_tenths),
        free_bins=freedom(old_tenths, new_tenths),
        effect=effect(old, new),
        effect_error=effect_error(old, new),
        effect_by_chance=by_chance,
        free_bins_with_tails=freedom(old, new),
        noise=feature.noise,
        p_value=None if obstacle else chance(old, new),
        js=jensen_shannon(old, new),
        # For small differences the divergence (in nats) is an eighth of the PSI.
        js_by_chance=math.sqrt(by_chance / 8 / math.log(2)),
        ks=kolmogorov_smirnov(feature, now) if feature.kind == "number" else None,
        wasserstein=wasserstein(feature, now) if feature.kind == "number" else None,
        numbers=summarize_numbers(feature, now) if feature.kind == "number" else None,
        categories=summarize_categories(feature, now) if feature.kind == "category" else None,
    )


def with_tails(feature: Simple, counts: Counts) -> tuple[Counts, Counts]:
    """Return the reference and a window on deciles and tail edges, or on deciles where it has no more.

    Raises:
        DatasetError: the counts are on other bins than the profile's.
    """
    grid: Grid = "deciles" if counts.grid == "deciles" else "coarse"
    return coarsen(feature, feature.counts, grid), coarsen(feature, counts, grid)


def _obstacle(before: Counts, counts: Counts | None) -> str | None:
    if counts is None:
        return "the current window does not have this feature"
    if not before.rows or not counts.rows:
        return f"{counts.rows:,} rows against {before.rows:,} in the reference"
    if bool(before.present) != bool(counts.present):
        window, of = ("reference", before) if counts.present else ("current", counts)
        return f"all {of.rows:,} rows of the {window} window are missing"
    return None

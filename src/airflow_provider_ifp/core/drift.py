"""Did the current window move away from the reference window?

A feature has drifted when its PSI is over the threshold and, with correction `auto`, chance does not explain
it: Pearson's chi-square on the same bins is significant at .01 after Benjamini and Hochberg's adjustment for
the number of features. The threshold is held against the plain PSI.

What cannot be decided is `undecided`, with the numbers that say why, and never `drifted`: too few rows, a
feature without a present value, a feature that the current window does not have, too few rows for the test.

Known weakness: a PSI over .10 needs about half a standard deviation; smaller shifts stay stable however
significant they are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.figures import figures
from airflow_provider_ifp.core.psi import SIGNIFICANT, Counts, adjusted, chance, expected_by_chance, psi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.core.profile import Feature, Profile

NAMED: Final = 5
FeatureVerdict = Literal["drifted", "stable", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """What was found for one feature.

    Attributes:
        name: the feature.
        psi: the plain value; None where a window has no row of it.
        expected_by_chance: the PSI that two such windows of one distribution show on average.
        p_value: Pearson's chi-square, before adjustment; None where it cannot be computed.
        missing: share of rows without a value, `reference` and `current`; None where there are no rows.
        verdict: `drifted`, `stable` or `undecided`.
        reason: why, in numbers.
    """

    name: str
    psi: float | None
    expected_by_chance: float | None
    p_value: float | None
    missing: Mapping[str, float | None]
    verdict: FeatureVerdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCheck:
    """What was found for a window.

    Attributes:
        drifted: True when a feature drifted; False when all are stable; None when none drifted, but some (or
            the whole window) could not be decided.
        reason: why, in numbers.
        rows: rows of the windows, `reference` and `current`.
        features: in descending order of their PSI, those without one last.
    """

    drifted: bool | None
    reason: str
    rows: Mapping[str, int]
    features: tuple[FeatureDrift, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record of `ifp drift --json`."""
        record = asdict(self)
        return {**record, "features": list(record["features"])}


def check_drift(
    reference: Profile,
    current: Mapping[str, Counts],
    *,
    threshold: float,
    correction: Literal["auto", "none"] = "auto",
    min_rows: int = 1,
) -> DriftCheck:
    """Compare a current window with the reference window it was counted against.

    Args:
        reference: The profile of the reference window.
        current: Counts of the current window by feature.
        threshold: A feature drifts above this PSI.
        correction: `auto` also asks that chance does not explain it; `none` takes the plain threshold.
        min_rows: With fewer current rows nothing is decided.

    Raises:
        PolicyError: The threshold is no number of at least 0, or the correction is unknown.
        DatasetError: Counts of a feature that the profile does not have, or on other bins than the profile's.

    >>> from airflow_provider_ifp.core.profile import count_categories, profile_categories, Profile
    >>> day = profile_categories("day", {"mon": 5_000, "sun": 5_000}, missing=0)
    >>> now = {"day": count_categories(day, {"mon": 7_000, "sun": 3_000}, missing=0)}
    >>> check_drift(Profile((day,), rows=10_000), now, threshold=0.1).reason
    'day drifted: PSI 0.169 > 0.10, where chance alone gives 0.0002; 10,000 rows against 10,000'
    >>> check_drift(Profile((day,), rows=10_000), now, threshold=0.1, min_rows=20_000).reason
    'undecided: 10,000 rows in the window, 20,000 needed'
    """
    _require_sense(reference, current, threshold, correction)
    rows = {
        "reference": reference.rows,
        "current": max((counts.rows for counts in current.values()), default=0),
    }
    measured = [_measure(feature, current.get(feature.name)) for feature in reference.features]
    if rows["current"] < max(min_rows, 1):
        short = f"{rows['current']:,} rows in the window, {max(min_rows, 1):,} needed"
        found = [_feature(one, "undecided", short) for one in measured]
        return DriftCheck(drifted=None, reason=f"undecided: {short}", rows=rows, features=_by_psi(found))
    # A feature with too few rows to test counts among the many all the same: it had its chance of an alarm.
    p_values = adjusted([1.0 if one.p_value is None else one.p_value for one in measured])
    found = [
        _judge(one, threshold, correction, p_adjusted)
        for one, p_adjusted in zip(measured, p_values, strict=True)
    ]
    return _conclude(_by_psi(found), rows, threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """The statistics of one feature, before anything is decided; `obstacle` says why nothing can be."""

    name: str
    psi: float | None = None
    by_chance: float | None = None
    p_value: float | None = None
    missing: Mapping[str, float | None]
    rows: tuple[int, int]
    obstacle: str | None = None


def _measure(feature: Feature, counts: Counts | None) -> _Measured:
    before, now = feature.counts, counts or Counts((0,) * len(feature.counts.bins), missing=0)
    missing = {
        window: of.missing / of.rows if of.rows else None
        for window, of in (("reference", before), ("current", now))
    }
    rows = (before.rows, now.rows)
    obstacle = None
    if counts is None:
        obstacle = "the current window does not have this feature"
    elif not before.rows or not now.rows:
        obstacle = f"{now.rows:,} rows against {before.rows:,} in the reference"
    elif bool(before.present) != bool(now.present):
        window, of = ("reference", before) if now.present else ("current", now)
        obstacle = f"all {of.rows:,} rows of the {window} window are missing"
    if not before.rows or not now.rows:
        return _Measured(name=feature.name, missing=missing, rows=rows, obstacle=obstacle)
    return _Measured(
        name=feature.name,
        psi=psi(feature, now),
        by_chance=expected_by_chance(before, now),
        p_value=None if obstacle else chance(before, now),
        missing=missing,
        rows=rows,
        obstacle=obstacle,
    )


def _judge(
    one: _Measured, threshold: float, correction: Literal["auto", "none"], p_adjusted: float
) -> FeatureDrift:
    if one.obstacle or one.psi is None or one.by_chance is None:
        return _feature(one, "undecided", one.obstacle or "no statistics")
    value, limit = _beside(one.psi, threshold)
    by_chance = f"{one.by_chance:.1g}"
    sizes = f"{one.rows[1]:,} rows against {one.rows[0]:,}"
    if one.psi <= threshold:
        return _feature(one, "stable", f"PSI {value} <= {limit}; {sizes}")
    if correction == "none":
        return _feature(one, "drifted", f"PSI {value} > {limit}; {sizes}")
    if one.p_value is None:
        return _feature(
            one, "undecided", f"PSI {value} > {limit}, but too few rows to rule out chance; {sizes}"
        )
    if p_adjusted >= SIGNIFICANT:
        within = f"within chance (p {p_adjusted:.2g} over all features), which alone gives {by_chance}"
        return _feature(one, "stable", f"PSI {value} > {limit}, but {within}; {sizes}")
    return _feature(one, "drifted", f"PSI {value} > {limit}, where chance alone gives {by_chance}; {sizes}")


def _conclude(found: tuple[FeatureDrift, ...], rows: Mapping[str, int], threshold: float) -> DriftCheck:
    drifted = [one for one in found if one.verdict == "drifted"]
    undecided = [one for one in found if one.verdict == "undecided"]
    if drifted:
        more = f"{len(drifted)} of {len(found)} features: " if len(drifted) > 1 else ""
        reason = more + _named([f"{one.name} drifted: {one.reason}" for one in drifted])
    elif undecided or not found:
        named = _named([f"{one.name}: {one.reason}" for one in undecided])
        reason = f"undecided: {named or 'the profile has no features'}"
    else:
        largest = found[0]
        value, limit = _beside(largest.psi or 0.0, threshold)
        sizes = f"{rows['current']:,} rows against {rows['reference']:,}"
        reason = f"no drift: largest PSI {value} ({largest.name}), threshold {limit}; {sizes}"
        if (largest.psi or 0.0) > threshold:
            reason = f"no drift: {largest.name}: {largest.reason}"
    decided = True if drifted else None if undecided or not found else False
    return DriftCheck(drifted=decided, reason=reason, rows=rows, features=found)


def _feature(one: _Measured, verdict: FeatureVerdict, reason: str) -> FeatureDrift:
    return FeatureDrift(
        name=one.name,
        psi=one.psi,
        expected_by_chance=one.by_chance,
        p_value=one.p_value,
        missing=one.missing,
        verdict=verdict,
        reason=reason,
    )


def _by_psi(found: Sequence[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(found, key=lambda one: math.inf if one.psi is None else -one.psi))


def _named(reasons: Sequence[str]) -> str:
    more = [f"and {len(reasons) - NAMED} more"] if len(reasons) > NAMED else []
    return "; ".join([*reasons[:NAMED], *more])


def _beside(value: float, threshold: float) -> tuple[str, str]:
    """Write a PSI and its threshold with three and two decimals, or as many as tell them apart."""
    texts = f"{value:.3f}", f"{threshold:.2f}"
    if float(texts[1]) == threshold and (float(texts[0]) > threshold) == (value > threshold):
        return texts
    of_value, of_threshold = figures([value, threshold])
    return of_value, of_threshold


def _require_sense(
    reference: Profile, current: Mapping[str, Counts], threshold: float, correction: str
) -> None:
    if not (math.isfinite(threshold) and threshold >= 0):
        raise PolicyError(
            f"psi threshold: expected a number of at least 0, found {threshold}; the usual is 0.10"
        )
    if correction not in ("auto", "none"):
        raise PolicyError(f"monitor.correction: expected 'auto' or 'none', found {correction!r}")
    unknown = current.keys() - {feature.name for feature in reference.features}
    if unknown:
        known = ", ".join(feature.name for feature in reference.features)
        raise DatasetError(
            f"counts of {', '.join(sorted(unknown))}: the reference profile has {known} only; "
            "count the window against this profile"
        )

"""Did the current window move away from the reference window?

Each feature is measured (`measure`), all are judged together (`judge`), and the window has
drifted when a feature has. What cannot be decided is `undecided`, with the numbers that say why, and never
`drifted`: too few rows, a feature without a present value, a feature that the current window does not have,
too few rows for the test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.drift.findings import DriftCheck, FeatureDrift, conclude
from airflow_provider_ifp.core.drift.judge import beside, false_alarm_chance, judge
from airflow_provider_ifp.core.drift.measure import Measured, measure
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.errors import DatasetError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.record import Profile

DEFAULT_RULE: Final = Rule()


def check_drift(
    reference: Profile,
    current: Mapping[str, Counts],
    rule: Rule = DEFAULT_RULE,
    segments: Mapping[str, tuple[Profile, Mapping[str, Counts]]] | None = None,
) -> DriftCheck:
    """Compare a current window with the reference window it was counted against.

    Args:
        reference: The profile of the reference window.
        current: Counts of the current window by feature, as `reference.measured` names them.
        rule: What is asked.
        segments: By name, as `region=north`: the profile of the reference's part and the counts of the
            window's. They are judged together with the whole, so that their number counts; one with fewer
            rows than `min_rows` decides nothing.

    Raises:
        PolicyError: The rule names features that the profile does not have.
        DatasetError: Counts of a feature that the profile does not have, or on other bins than the profile's.

    >>> from airflow_provider_ifp.core.profile.counting import count_categories
    >>> from airflow_provider_ifp.core.profile.record import Profile
    >>> from airflow_provider_ifp.core.profile.reference import profile_categories
    >>> day = profile_categories("day", {"mon": 5_000, "sun": 5_000}, missing=0)
    >>> now = {"day": count_categories(day, {"mon": 7_000, "sun": 3_000}, missing=0)}
    >>> check_drift(Profile((day,), rows=10_000), now).reason
    'day drifted: PSI 0.169 > 0.10, where chance alone gives 0.0002; 10,000 rows against 10,000'
    >>> check_drift(Profile((day,), rows=10_000), now, Rule(min_rows=20_000)).reason
    'undecided: 10,000 rows in the window, 20,000 needed'
    """
    _require_features(reference, rule)
    whole = _measure_all(reference, current, rule)
    groups = [(group.name, group.features) for group in rule.groups]
    rows = {
        "reference": reference.rows,
        "current": max((counts.rows for counts in current.values()), default=0),
    }
    needed = max(rule.min_rows, 1)
    if rows["current"] < needed:
        short = f"{rows['current']:,} rows in the window, {needed:,} needed"
        found = [FeatureDrift(measured=one, verdict="undecided", reason=short) for one in whole]
        return replace(conclude(found, rows, groups), reason=f"undecided: {short}")
    parts = [
        one
        for segment, (profile, counts) in (segments or {}).items()
        for one in _measure_all(profile, counts, rule, segment)
    ]
    tested = whole + [one for one in parts if one.rows["current"] >= needed]
    found = [
        FeatureDrift(measured=one, verdict=judged.verdict, reason=judged.reason, counts=judged.counts)
        for one, judged in zip(tested, judge(tested, rule), strict=True)
    ]
    found += [_too_small(one, needed) for one in parts if one.rows["current"] < needed]
    costs = false_alarm_chance(tested, rule) if rule.correction == "none" else None
    return _explained(conclude(found, rows, groups, costs), rule)


def _measure_all(
    reference: Profile, current: Mapping[str, Counts], rule: Rule, segment: str | None = None
) -> list[Measured]:
    unknown = current.keys() - {feature.name for feature in reference.measured}
    if unknown:
        known = ", ".join(feature.name for feature in reference.measured)
        raise DatasetError(
            f"counts of {', '.join(sorted(unknown))}: the reference profile has {known} only; "
            "count the window against this profile"
        )
    return [
        measure(feature, current.get(feature.name), segment)
        for feature in reference.measured
        if rule.features is None or feature.name in rule.features
    ]


def _too_small(one: Measured, needed: int) -> FeatureDrift:
    short = f"{one.rows['current']:,} rows in the segment, {needed:,} needed"
    return FeatureDrift(measured=one, verdict="undecided", reason=short, counts=False)


def _explained(check: DriftCheck, rule: Rule) -> DriftCheck:
    """Say what is largest where nothing drifted, and what a plain threshold costs."""
    reason = check.reason
    if check.drifted is False:
        largest = check.features[0]
        threshold = rule.methods_of(largest.measured.name).get("psi", "auto")
        if threshold != "auto" and largest.psi is not None and largest.psi <= threshold:
            value, limit = beside(largest.psi, threshold)
            sizes = f"{check.rows['current']:,} rows against {check.rows['reference']:,}"
            reason = f"no drift: largest PSI {value} ({largest.name}), threshold {limit}; {sizes}"
    if check.false_alarm_chance is not None:
        often = f"{check.false_alarm_chance:.2g}"
        reason += f"; correction none: chance alone calls drift with probability {often} in such a window"
    return replace(check, reason=reason)


def _require_features(reference: Profile, rule: Rule) -> None:
    known = [feature.name for feature in reference.measured]
    wanted = {name for group in rule.groups for name in group.features} | set(rule.features or ())
    stray = sorted(wanted - set(known))
    if stray:
        raise PolicyError(
            f"monitor.feature_groups: {', '.join(stray)}: no such feature; the profile has {', '.join(known)}"
        )

"""What a drift check found: of each feature, of each group, of the window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.drift.judge import Verdict
    from airflow_provider_ifp.core.drift.measure import Measured

NAMED: Final = 5
Groups = Sequence[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """What was found for one feature.

    Attributes:
        measured: the statistics.
        verdict: `drifted`, `stable` or `undecided`.
        reason: why, in numbers.
        counts: False: that it is undecided says nothing about the window, since no enabled method is made for
            such a feature, or a segment has too few rows.
    """

    measured: Measured
    verdict: Verdict
    reason: str
    counts: bool = True

    @property
    def name(self) -> str:
        """The feature, and the segment where there is one: `price (region=north)`."""
        segment = self.measured.segment
        return self.measured.name if segment is None else f"{self.measured.name} ({segment})"

    @property
    def psi(self) -> float | None:
        """The plain PSI; None where a window has no row of it."""
        return self.measured.psi

    @property
    def missing(self) -> Mapping[str, float | None]:
        """Share of rows without a value, `reference` and `current`."""
        return self.measured.missing

    def to_json(self) -> dict[str, Any]:
        """Return the record of one feature in `ifp drift --json`."""
        return {**self.measured.to_json(), "verdict": self.verdict, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDrift:
    """What was found for features that are judged together: drifted when one of them is."""

    name: str
    features: tuple[str, ...]
    verdict: Verdict
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
        groups: the rule's groups in their order.
        false_alarm_chance: with correction `none`: how often such a window is called drifted when nothing has
            changed; None where that is not known, and with `auto`.
    """

    drifted: bool | None
    reason: str
    rows: Mapping[str, int]
    features: tuple[FeatureDrift, ...]
    groups: tuple[GroupDrift, ...] = ()
    false_alarm_chance: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record of `ifp drift --json`; further keys only where there is something."""
        record: dict[str, Any] = {
            "drifted": self.drifted,
            "reason": self.reason,
            "rows": dict(self.rows),
            "features": [one.to_json() for one in self.features],
        }
        if self.groups:
            record["groups"] = [
                {
                    "name": one.name,
                    "features": list(one.features),
                    "verdict": one.verdict,
                    "reason": one.reason,
                }
                for one in self.groups
            ]
        if self.false_alarm_chance is not None:
            record["false_alarm_chance"] = self.false_alarm_chance
        return record


def conclude(
    found: Sequence[FeatureDrift],
    rows: Mapping[str, int],
    groups: Groups = (),
    false_alarms: float | None = None,
) -> DriftCheck:
    """Conclude from the features what is so of the window, and of each group (name, features) of them."""
    ordered = tuple(sorted(found, key=lambda one: math.inf if one.psi is None else -one.psi))
    drifted = [one for one in ordered if one.verdict == "drifted"]
    undecided = [one for one in ordered if one.verdict == "undecided" and one.counts]
    decided: bool | None
    if drifted:
        more = f"{len(drifted)} of {len(ordered)} features: " if len(drifted) > 1 else ""
        reason = more + _named([f"{one.name} drifted: {one.reason}" for one in drifted])
        decided = True
    elif undecided or not any(one.counts for one in ordered):
        named = _named([f"{one.name}: {one.reason}" for one in undecided])
        reason = f"undecided: {named or 'no enabled method is made for any of the features'}"
        decided = None
    else:
        reason = f"no drift: {ordered[0].name}: {ordered[0].reason}"
        decided = False
    return DriftCheck(
        drifted=decided,
        reason=reason,
        rows=rows,
        features=ordered,
        groups=tuple(_of_group(name, features, ordered) for name, features in groups),
        false_alarm_chance=false_alarms,
    )


def _of_group(name: str, features: tuple[str, ...], found: Sequence[FeatureDrift]) -> GroupDrift:
    members = [one for one in found if one.measured.name in features and one.counts]
    verdict: Verdict = "stable"
    if any(one.verdict == "drifted" for one in members):
        verdict = "drifted"
    elif any(one.verdict == "undecided" for one in members) or not members:
        verdict = "undecided"
    reason = _named([f"{one.name}: {one.reason}" for one in members if one.verdict == verdict])
    return GroupDrift(name=name, features=features, verdict=verdict, reason=reason)


def _named(reasons: Sequence[str]) -> str:
    more = [f"and {len(reasons) - NAMED} more"] if len(reasons) > NAMED else []
    return "; ".join([*reasons[:NAMED], *more])

"""One drift check: the prediction log's windows against what production was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.count_cache import CountCache
from airflow_provider_ifp.adapters.ledger import project
from airflow_provider_ifp.adapters.log_files import describe_search
from airflow_provider_ifp.core.drift import check_drift
from airflow_provider_ifp.core.drift_record import drift_record
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.findings import DriftCheck
from airflow_provider_ifp.core.firing import Firing, decide_by_drift, decide_without_data
from airflow_provider_ifp.core.persistence import persistent
from airflow_provider_ifp.core.profile import ERROR, SCORE
from airflow_provider_ifp.core.rolling import rolling_reference
from airflow_provider_ifp.core.rule import Rule, rule_of
from airflow_provider_ifp.core.windows import Window, calendar_blocks, current_window, preceding
from airflow_provider_ifp.loop.drift_report import log_drift
from airflow_provider_ifp.loop.reference import Reference, find_reference
from airflow_provider_ifp.loop.window import LogCounter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from airflow_provider_ifp.adapters.registry import Registry
    from airflow_provider_ifp.core.counts import Counts
    from airflow_provider_ifp.core.parts import Part
    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.policy_trigger import DriftCondition
    from airflow_provider_ifp.core.profile import Profile

STAGE = "production"


def check(
    registry: Registry,
    policy: Policy,
    *,
    now: datetime,
    predictions: str | None = None,
    force: bool = False,
    reason: str = "",
    cache: Path | None = None,
) -> Firing:
    """Decide whether to retrain.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy.
        now: The time of the run, UTC; the windows end there, half open.
        predictions: Root of the prediction log, where the policy names none.
        force: Fire without a check.
        reason: Why, when forced.
        cache: The folder in which counts of the log's files are kept; None: all is counted anew.

    Raises:
        PredictionLogError: there is no prediction log, or one of its files is damaged.
        DatasetError: a feature has values of another kind than the reference's.
        RegistryError: production has no profile, or the registry does not answer.
    """
    ledger = project(registry, policy.model)
    early = decide_without_data(ledger, force=force, reason=reason)
    if early is not None:
        return early
    production = registry.version(policy.model, str(ledger.production))
    reference = find_reference(registry, production, answers=policy.watch.prediction)
    counter = LogCounter(
        root=log_root(policy, predictions),
        model=policy.model,
        stage=STAGE,
        profile=reference.profile,
        cache=CountCache(cache / policy.model if cache else None),
        skip_unreadable=policy.watch.unreadable == "skip",
    )
    watch = _Watch(policy, reference, counter, now)
    checks = {condition: watch.check(condition) for condition in policy.drift_conditions}
    firing = decide_by_drift(policy.trigger, checks, counter.notes)
    condition = next((one for one, found in checks.items() if found.drifted), next(iter(checks)))
    report = log_drift(registry, production, watch.report(condition, checks[condition], production.version))
    counter.cache.prune()
    return replace(firing, report=report)


def log_root(policy: Policy, predictions: str | None) -> str:
    """Where the prediction log is: the policy's word first.

    Raises:
        PredictionLogError: nobody says.
    """
    named = policy.watch.predictions or predictions
    if not named:
        raise PredictionLogError(
            f"{policy.model}: no prediction log is named; set monitor.predictions in the policy, or "
            "predictions in section [ifp] of airflow.cfg (AIRFLOW__IFP__PREDICTIONS)"
        )
    return policy.resolve(named)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A policy's watch over the log as of one moment; each window is counted once."""

    policy: Policy
    reference: Reference
    counter: LogCounter
    now: datetime
    _counted: dict[Window, Part] = field(default_factory=dict)

    def check(self, condition: DriftCondition) -> DriftCheck:
        """Check the newest windows by one condition, as many as `monitor.consecutive` looks at."""
        rule, newest = rule_of(self.policy.watch, condition), self._newest(condition)
        asked = self.policy.watch.consecutive
        windows = [preceding(newest, back) for back in reversed(range(asked.of_last))]
        found = persistent([self._check(window, rule) for window in windows], asked.windows, asked.of_last)
        if found.rows["current"]:
            return found
        # Mostly the log is written elsewhere, or to another day: say where none was found.
        searched = describe_search(self.counter.root, self.policy.model, STAGE, newest)
        return replace(found, reason=f"{found.reason}; looked in {searched}")

    def report(self, condition: DriftCondition, found: DriftCheck, version: str) -> dict[str, Any]:
        """The record of the newest window's check, with how each feature went day by day."""
        window = self._newest(condition)
        profile, part = self._against(window, window)
        rolling = self._rolling is not None
        return drift_record(
            found,
            model=self.policy.model,
            version=version,
            window=window,
            reference="the log before the window" if rolling else self.reference.words,
            profile=profile,
            counts=part.counts,
            blocks=[(block, self._against(window, block)[1].counts) for block in calendar_blocks(window)],
            notes=self.counter.notes,
        )

    def _newest(self, condition: DriftCondition) -> Window:
        return current_window(self.now, condition.window or self.policy.watch.evaluation_window)

    def _check(self, window: Window, rule: Rule) -> DriftCheck:
        profile, part = self._against(window, window)
        if profile.rows < rule.min_rows and self._rolling is not None:
            return _no_reference(profile.rows, part.rows, rule.min_rows)
        segments = {
            one.name: (one.profile, part.segments[one.name].counts)
            for one in profile.segments
            if one.name in part.segments
        }
        profile, counts = _of_the_log(profile, part.counts)
        return check_drift(profile, counts, rule, segments)

    def _against(self, window: Window, block: Window) -> tuple[Profile, Part]:
        """The reference of a window, and on its bins the counts of the window or a part of it."""
        if self._rolling is None:
            return self.reference.profile, self._count(block)
        baseline = current_window(window.start or window.end, self._rolling)
        return rolling_reference(self.reference.profile, self._count(baseline), self._count(block))

    @property
    def _rolling(self) -> timedelta | None:
        """How much of the log is the reference; None: the reference does not move."""
        length = self.policy.watch.baseline_window
        return None if length == "training" or self.reference.frozen else length

    def _count(self, window: Window) -> Part:
        if window not in self._counted:
            self._counted[window] = self.counter.count(window)
        return self._counted[window]


def _of_the_log(profile: Profile, counts: Mapping[str, Counts]) -> tuple[Profile, Mapping[str, Counts]]:
    """Leave out scores and errors where there are none: a server need not write scores, labels come late."""
    there = {name for name, of in counts.items() if of.present}
    answers = {name: _measures(profile, name) for name in (SCORE, ERROR)}
    absent = {name for name, measures in answers.items() if there.isdisjoint(measures)}
    kept = profile.only({one.name for one in (*profile.features, *profile.predictions)} - absent)
    left = {measure for name in absent for measure in answers[name]}
    return kept, {name: of for name, of in counts.items() if name not in left}


def _measures(profile: Profile, name: str) -> set[str]:
    return {one.name for one in profile.only({name}).measured}


def _no_reference(before: int, now: int, needed: int) -> DriftCheck:
    reason = f"undecided: {before:,} rows in monitor.baseline_window before the window, {needed:,} needed"
    return DriftCheck(drifted=None, reason=reason, rows={"reference": before, "current": now}, features=())

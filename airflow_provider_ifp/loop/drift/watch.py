"""A policy's watch over the prediction log: windows counted on a reference and judged by its conditions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ifp.adapters.log.files import describe_search
from airflow_provider_ifp.core.drift.answers import without_silent
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.findings import DriftCheck
from airflow_provider_ifp.core.drift.persistence import persistent
from airflow_provider_ifp.core.drift.record import Compared, drift_record
from airflow_provider_ifp.core.drift.rule import Rule, rule_of
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError
from airflow_provider_ifp.core.profile.record import ERROR
from airflow_provider_ifp.core.profile.rolling import rolling_reference
from airflow_provider_ifp.core.windows import Window, calendar_blocks, current_window, preceding
from airflow_provider_ifp.loop.drift.answer_errors import ErrorCounter, profile_of_errors
from airflow_provider_ifp.loop.drift.reference import Reference, find_reference
from airflow_provider_ifp.loop.drift.window import LogCounter

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow_provider_ifp.adapters.counting.cache import CountCache
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.policy.trigger import DriftCondition
    from airflow_provider_ifp.core.profile.parts import Part
    from airflow_provider_ifp.core.profile.record import Profile

_STAGE: Final = "production"


@dataclass(frozen=True, slots=True)
class Watch:
    """A policy's watch over the log as of one moment; each window is counted once."""

    policy: Policy
    reference: Reference
    counter: LogCounter
    error_counter: ErrorCounter | None
    now: datetime
    _counted: dict[Window, Part] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        registry: Registry,
        policy: Policy,
        production: ModelVersion,
        *,
        now: datetime,
        predictions: str | None,
        kept: CountCache,
        connect: Connect | None = None,
    ) -> Watch:
        """Watch over the answers of a version by its own reference."""
        reference = find_reference(registry, production, answers=policy.watch.prediction)
        root = policy.log_root(predictions)
        counter = LogCounter(
            root=root,
            model=policy.model,
            stage=_STAGE,
            profile=reference.profile,
            version=production.version,
            cache=kept,
            skip_unreadable=policy.watch.unreadable == "skip",
        )
        of_errors, errors = profile_of_errors(reference.profile), None
        if of_errors is not None:
            errors = ErrorCounter(
                policy=policy,
                root=root,
                features=tuple(one.name for one in reference.profile.features),
                profile=of_errors,
                version=production.version,
                cache=kept,
                connect=connect,
            )
        return cls(policy, reference, counter, errors, now)

    def check(self, condition: DriftCondition) -> DriftCheck:
        """Check the newest windows by one condition, as many as `monitor.consecutive` looks at."""
        rule, newest = rule_of(self.policy.watch, condition), self._newest(condition)
        asked = self.policy.watch.consecutive
        windows = [preceding(newest, back) for back in reversed(range(asked.of_last))]
        found = persistent([self._check(window, rule) for window in windows], asked.windows, asked.of_last)
        if found.rows["current"]:
            return found
        # Mostly the log is written elsewhere, or to another day: say where none was found.
        searched = describe_search(self.counter.root, self.policy.model, _STAGE, newest)
        return replace(found, reason=f"{found.reason}; looked in {searched}")

    def errors(self, condition: DriftCondition) -> Compared | None:
        """Hold production's errors in the newest window against the holdout's, where labels are known.

        Labels that cannot be read are noted: the check's answer does not hang on them.
        """
        if self.error_counter is None:
            return None
        rule = rule_of(self.policy.watch, condition)
        try:
            return self.error_counter.compare(self._newest(condition), rule)
        except (DatasetError, PredictionLogError) as error:
            self.counter.note(f"{ERROR} is not known: {error}")
            return None

    def report(
        self, condition: DriftCondition, found: DriftCheck, errors: Compared | None, version: str
    ) -> dict[str, Any]:
        """The record of the newest window's check, with how each feature went day by day."""
        window = self._newest(condition)
        profile, part = self._against(window, window)
        blocks = [(block, self._against(window, block)[1].counts) for block in calendar_blocks(window)]
        rolling = self._rolling is not None
        return drift_record(
            Compared(check=found, profile=profile, counts=part.counts, blocks=blocks),
            model=self.policy.model,
            version=version,
            window=window,
            reference="the log before the window" if rolling else self.reference.words,
            notes=self.counter.notes,
            errors=errors,
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
        judged, counts, silent = without_silent(profile, part.counts, rule.min_rows)
        if part.rows >= rule.min_rows:
            for why in silent:
                self.counter.note(why)
        return check_drift(judged, counts, rule.only(profile, judged), segments)

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


def _no_reference(before: int, now: int, needed: int) -> DriftCheck:
    reason = f"undecided: {before:,} rows in monitor.baseline_window before the window, {needed:,} needed"
    return DriftCheck(drifted=None, reason=reason, rows={"reference": before, "current": now}, features=())

"""What is asked of a window: the methods with their thresholds, and who is judged together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_ifp.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.policy.monitor import MonitorSection
    from airflow_provider_ifp.core.policy.trigger import DriftCondition
    from airflow_provider_ifp.core.profile.record import Profile

Method = Literal["psi", "ks_test", "wasserstein", "js", "chi2"]
Threshold = float | Literal["auto"]
P_VALUES: Final[tuple[Method, ...]] = ("ks_test", "chi2")
_METHODS: Final[Mapping[str, Method]] = {
    "psi": "psi",
    "ks_pvalue": "ks_test",
    "wasserstein": "wasserstein",
    "js": "js",
    "chi2_pvalue": "chi2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Features that are judged together: the group drifts when one of them does.

    `method`, where it is given, replaces the enabled ones for these features, at `threshold`.
    """

    name: str
    features: tuple[str, ...]
    method: Method | None = None
    threshold: Threshold = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is asked of a window.

    Attributes:
        methods: the enabled methods with their thresholds; ks_test and chi2: p-values. Only psi has `auto`.
        correction: `auto`: chance and the number of features are accounted for; `none`: plain thresholds.
        min_rows: with fewer current rows nothing is decided.
        groups: features that are judged together as well.
        features: only these, as the profile names them; None: all.
    """

    methods: Mapping[Method, Threshold] = field(default_factory=lambda: {"psi": 0.10})
    correction: Literal["auto", "none"] = "auto"
    min_rows: int = 1
    groups: tuple[Group, ...] = ()
    features: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            PolicyError: A threshold, a method or the correction.
        """
        if self.correction not in ("auto", "none"):
            raise PolicyError(f"monitor.correction: expected 'auto' or 'none', found {self.correction!r}")
        for method, threshold in [
            *self.methods.items(),
            *((one.method, one.threshold) for one in self.groups if one.method),
        ]:
            _require_threshold(method, threshold)

    def only(self, profile: Profile, judged: Profile) -> Rule:
        """Return the rule for what of a profile can be judged.

        A policy may name a feature of lists, of which several measures are judged, and answers that cannot be
        judged yet. What the profile does not have stays, and is refused by `check_drift`.
        """
        lists = {
            one.name: tuple(part.name for part in one.measures)
            for one in (*profile.features, *profile.predictions)
            if one.kind == "list"
        }
        silent = {one.name for one in profile.measured} - {one.name for one in judged.measured}

        def names(named: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(part for name in named for part in lists.get(name, (name,)) if part not in silent)

        return replace(
            self,
            groups=tuple(replace(group, features=names(group.features)) for group in self.groups),
            features=None if self.features is None else names(self.features),
        )

    def methods_of(self, feature: str) -> Mapping[Method, Threshold]:
        """Return the methods that judge a feature: those of its groups, else the enabled ones."""
        mine = [one for one in self.groups if feature in one.features]
        return {one.method: one.threshold for one in mine if one.method} or self.methods


def rule_of(monitor: MonitorSection, condition: DriftCondition | None = None) -> Rule:
    """Return the rule that a policy's section `monitor` states, or one of the trigger's conditions on it.

    Raises:
        PolicyError: The condition names a group that the section does not have.

    >>> from airflow_provider_ifp.core.policy.monitor import MonitorSection
    >>> from airflow_provider_ifp.core.policy.trigger import DriftCondition
    >>> rule_of(MonitorSection()).methods
    {'psi': 0.1}
    >>> rule_of(MonitorSection(), DriftCondition(metric="ks_pvalue", threshold=0.01)).methods
    {'ks_test': 0.01}
    """
    methods = monitor.methods
    thresholds: dict[Method, Threshold] = {
        "psi": methods.psi.threshold,
        "ks_test": methods.ks_test.p_value_threshold,
        "wasserstein": methods.wasserstein.threshold,
        "js": methods.js.threshold,
        "chi2": methods.chi2.p_value_threshold,
    }
    enabled = {name: threshold for name, threshold in thresholds.items() if getattr(methods, name).enabled}
    groups = tuple(
        Group(
            name=one.name,
            features=tuple(one.features),
            method=one.method_override,
            threshold=thresholds[one.method_override or "psi"],
        )
        for one in monitor.feature_groups
    )
    rule = Rule(methods=enabled, correction=monitor.correction, min_rows=monitor.min_rows, groups=groups)
    return rule if condition is None else _narrowed(rule, thresholds, condition)


def _narrowed(rule: Rule, thresholds: Mapping[Method, Threshold], condition: DriftCondition) -> Rule:
    if condition.metric is not None:
        # The condition says itself what is held against what: a group's own method has no say in it.
        method = _METHODS[condition.metric]
        threshold = thresholds[method] if condition.threshold is None else condition.threshold
        groups = tuple(replace(group, method=None) for group in rule.groups)
        rule = replace(rule, methods={method: threshold}, groups=groups)
    if condition.feature_group is None:
        return rule
    chosen = [group for group in rule.groups if group.name == condition.feature_group]
    if not chosen:
        known = ", ".join(group.name for group in rule.groups) or "none"
        raise PolicyError(
            f"trigger: feature_group {condition.feature_group!r}: expected one of monitor.feature_groups "
            f"({known}); name it there"
        )
    return replace(rule, groups=(chosen[0],), features=chosen[0].features)


def _require_threshold(method: Method, threshold: Threshold) -> None:
    if threshold == "auto":
        if method != "psi":
            raise PolicyError(f"{method} threshold: expected a number, found 'auto', which only psi has")
        return
    if not (isinstance(threshold, (int, float)) and math.isfinite(threshold) and threshold >= 0):
        usual = "0.05" if method in P_VALUES else "0.10"
        raise PolicyError(
            f"{method} threshold: expected a number of at least 0, found {threshold}; the usual is {usual}"
        )

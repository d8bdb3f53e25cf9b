"""When a feature has drifted.

With correction `auto` a feature drifts when the change is beyond chance and large enough to matter:

| method | beyond chance (Benjamini and Hochberg over the features) | large enough |
| --- | --- | --- |
| psi, a number | Pearson's chi-square at .005, tails in bins of their own | plain PSI above the threshold |
| psi, `auto` | the same | `effect` above the floor |
| wasserstein, js | the same | distance above the threshold |
| ks_test | Smirnov's p-value under the threshold | `effect` above the floor |
| chi2 | Pearson's p-value under the threshold | `effect` above the floor |

`effect` is the PSI with the tails in bins of their own, less what chance gives on average, and less its
standard error, so that a small window does not pass the floor by luck. The floor is .02, or twice the largest
effect that blocks of time of the reference showed among themselves, if that is more.
With correction `none` the thresholds alone decide. Of several methods each can call a feature drifted, so
their false alarms add up.

What did not drift is `stable` only where the window could have told: while chance alone gives as much as the
threshold on average, or too few rows are there for the test, it is `undecided`.

Known weakness: a plain PSI over .10 needs about a third of a standard deviation; with that threshold smaller
shifts stay stable however significant they are. `auto` finds half of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_ifp.core.drift.chance import SIGNIFICANT, adjusted, any_of, chance_above
from airflow_provider_ifp.core.drift.rule import P_VALUES
from airflow_provider_ifp.core.figures import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.core.drift.measure import Measured
    from airflow_provider_ifp.core.drift.rule import Method, Rule, Threshold

FLOOR: Final = 0.02
TIMES_NOISE: Final = 2.0
Verdict = Literal["drifted", "stable", "undecided"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found for one feature, and why, in numbers.

    `counts` is False where no enabled method is made for the feature's kind: its being undecided says nothing
    about the window.
    """

    verdict: Verdict
    reason: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a change is, the limit that it is held against, and what chance alone gives on average."""

    label: str
    value: float
    limit: float
    by_chance: float

    @property
    def text(self) -> str:
        value, limit = beside(self.value, self.limit)
        return f"{self.label} {value} {'>' if self.value > self.limit else '<='} {limit}"

    @property
    def blind(self) -> Verdict:
        """What a change that is not beyond chance is: stable only where a larger one would have shown."""
        return "undecided" if self.by_chance >= self.limit else "stable"


_Finding = tuple[Verdict, str]


def judge(measured: Sequence[Measured], rule: Rule) -> list[Judgement]:
    """Judge the features of a window, all at once, since their number counts."""
    # A feature with too few rows to test counts among the many all the same: it had its chance of an alarm.
    of_bins = adjusted([1.0 if one.p_value is None else one.p_value for one in measured])
    of_ks = adjusted(
        [1.0 if one.ks is None or one.ks.p_value is None else one.ks.p_value for one in measured]
    )
    return [
        _judge_feature(one, rule, p_of_bins, p_of_ks)
        for one, p_of_bins, p_of_ks in zip(measured, of_bins, of_ks, strict=True)
    ]


def floor_of(one: Measured) -> float:
    """Return the effect above which a change of this feature matters."""
    return max(FLOOR, TIMES_NOISE * (one.noise or 0.0))


def false_alarm_chance(measured: Sequence[Measured], rule: Rule) -> float | None:
    """Return how often plain thresholds call drift in a window of this size when nothing has changed.

    None where a threshold is in use whose chance is not known: Wasserstein's, and the calibrated one.
    """
    chances: list[float] = []
    for one in measured:
        if one.psi is None:
            continue
        for method, threshold in rule.methods_of(one.name).items():
            found = _plain_chance(one, method, threshold)
            if found is None:
                return None
            chances.append(found)
    return any_of(chances)


def beside(value: float, threshold: float) -> tuple[str, str]:
    """Write a value and its threshold with three and two decimals, or as many as tell them apart.

    >>> beside(0.1694, 0.1), beside(0.10001, 0.1)
    (('0.169', '0.10'), ('0.10001', '0.1'))
    """
    texts = f"{value:.3f}", f"{threshold:.2f}"
    if float(texts[1]) == threshold and (float(texts[0]) > threshold) == (value > threshold):
        return texts
    of_value, of_threshold = figures([value, threshold])
    return of_value, of_threshold


def _judge_feature(one: Measured, rule: Rule, p_of_bins: float, p_of_ks: float) -> Judgement:
    if one.obstacle or one.psi is None:
        return Judgement("undecided", one.obstacle or "no statistics")
    found: list[_Finding] = []
    for method, threshold in rule.methods_of(one.name).items():
        if method in P_VALUES:
            p_value = p_of_ks if method == "ks_test" else p_of_bins
            found += _by_p_value(one, method, float(threshold), p_value, plain=rule.correction == "none")
        else:
            found += _by_size(one, method, threshold, p_of_bins, plain=rule.correction == "none")
    sizes = f"{one.rows['current']:,} rows against {one.rows['reference']:,}"
    order: tuple[Verdict, ...] = ("drifted", "undecided", "stable")
    for verdict in order:
        reasons = [reason for which, reason in found if which == verdict]
        if reasons:
            return Judgement(verdict, f"{' and '.join(reasons)}; {sizes}")
    return Judgement("undecided", "no enabled method is made for its values", counts=False)


def _by_size(
    one: Measured, method: Method, threshold: Threshold, p_value: float, *, plain: bool
) -> list[_Finding]:
    size = _size(one, method, threshold)
    if size is None:
        # Numbers without a spread, a constant say, have no Wasserstein distance.
        return (
            [("undecided", f"{method}: the reference has no spread to measure it in")] if one.numbers else []
        )
    if plain:
        return [("drifted" if size.value > size.limit else "stable", size.text)]
    alone = f"which alone gives {size.by_chance:.1g}"
    if size.value <= size.limit:
        told = (
            size.text
            if size.blind == "stable"
            else f"{size.text}, but too few rows to tell: chance {alone[6:]}"
        )
        return [(size.blind, told)]
    if one.p_value is None:
        return [("undecided", f"{size.text}, but too few rows to rule out chance")]
    if p_value >= SIGNIFICANT:
        return [(size.blind, f"{size.text}, but within chance (p {p_value:.2g} over all features), {alone}")]
    return [("drifted", f"{size.text}, where chance {alone[6:]}")]


def _by_p_value(
    one: Measured, method: Method, threshold: float, p_value: float, *, plain: bool
) -> list[_Finding]:
    of_ks = None if one.ks is None else one.ks.p_value
    name, raw = ("KS", of_ks) if method == "ks_test" else ("chi-square", one.p_value)
    if raw is None:
        return (
            [("undecided", f"{name}: too few rows for the test")] if method == "chi2" or one.numbers else []
        )
    if plain:
        if raw < threshold:
            return [("drifted", f"{name} p {raw:.2g} < {threshold:g}")]
        return [("stable", f"{name} p {raw:.2g} >= {threshold:g}")]
    return _by_p_value_and_size(_size(one, "psi", "auto"), name, p_value, threshold)


def _by_p_value_and_size(size: _Size | None, name: str, p_value: float, threshold: float) -> list[_Finding]:
    if size is None:
        return []
    tested = f"{name} p {p_value:.2g} over all features"
    if p_value >= threshold:
        return [(size.blind, f"{tested} >= {threshold:g}")]
    if size.value <= size.limit:
        return [(size.blind, f"{tested} < {threshold:g}, but too small to matter: {size.text}")]
    return [("drifted", f"{tested} < {threshold:g} and {size.text}")]


def _size(one: Measured, method: Method, threshold: Threshold) -> _Size | None:
    if method == "psi" and threshold == "auto":
        if one.effect is None or one.effect_by_chance is None:
            return None
        sure = one.effect - one.effect_error
        return _Size("PSI with tails, chance and error taken off,", sure, floor_of(one), one.effect_by_chance)
    limit = float(threshold)
    if method == "psi" and one.psi is not None and one.expected_by_chance is not None:
        return _Size("PSI", one.psi, limit, one.expected_by_chance)
    if method == "js" and one.js is not None and one.js_by_chance is not None:
        return _Size("Jensen-Shannon", one.js, limit, one.js_by_chance)
    if method == "wasserstein" and one.wasserstein is not None:
        return _Size("Wasserstein", one.wasserstein.value, limit, one.wasserstein.by_chance)
    return None


def _plain_chance(one: Measured, method: Method, threshold: Threshold) -> float | None:
    rows = (one.rows["reference"], one.rows["current"])
    if method == "wasserstein":
        return None if one.numbers else 0.0
    if threshold == "auto":
        return None
    if method == "psi":
        return chance_above(threshold, one.free_bins, *rows)
    if method == "js":
        # As in `core/drift/measure.py`: the divergence in nats is an eighth of the PSI.
        return chance_above(8 * math.log(2) * threshold**2, one.free_bins_with_tails, *rows)
    return threshold if method == "chi2" or one.ks is not None else 0.0

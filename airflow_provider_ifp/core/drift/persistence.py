"""Does drift last? A feature must drift in M of the last N windows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.drift.findings import DriftCheck, FeatureDrift, conclude
from airflow_provider_ifp.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.core.drift.judge import Verdict


def persistent(checks: Sequence[DriftCheck], windows: int, of_last: int) -> DriftCheck:
    """Ask that a feature drifts in so many of the last windows.

    Args:
        checks: One check a window, the newest last, by the same rule.
        windows: In so many windows the same feature must drift.
        of_last: Of so many.

    Returns:
        The newest check, judged anew. A feature that drifted in enough windows has drifted, whatever the
        newest says. One that drifted in too few is stable, or undecided where windows that are missing or
        undecided could still make up the number.

    Raises:
        PolicyError: There is no check.
    """
    if not checks:
        raise PolicyError("monitor.consecutive: there is no window to look at; expected at least one check")
    newest = checks[-1]
    if windows == of_last == 1:
        return newest
    found = [_judge_again(one, checks[-of_last:], windows, of_last) for one in newest.features]
    groups = [(group.name, group.features) for group in newest.groups]
    check = conclude(found, newest.rows, groups, newest.false_alarm_chance)
    # Nothing was near drifting: the newest window's own sentence says more.
    return replace(check, reason=newest.reason) if newest.drifted == check.drifted is not True else check


def _judge_again(
    feature: FeatureDrift, checks: Sequence[DriftCheck], windows: int, of_last: int
) -> FeatureDrift:
    verdicts: list[Verdict] = [
        one.verdict for check in checks for one in check.features if one.name == feature.name
    ]
    drifted = verdicts.count("drifted")
    possible = drifted + verdicts.count("undecided") + of_last - len(verdicts)
    verdict: Verdict = "stable"
    if drifted >= windows:
        verdict = "drifted"
    elif possible >= windows and (drifted or feature.verdict == "undecided"):
        verdict = "undecided"
    if not drifted:
        return replace(feature, verdict=verdict)
    times = f"in {drifted} of the last {of_last} windows, {windows} needed"
    return replace(feature, verdict=verdict, reason=f"{times}; in the newest: {feature.reason}")

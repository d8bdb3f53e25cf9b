"""Whether what a version answers can be judged yet: that it cannot says nothing about the window.

Right after a promotion the window has few rows that production itself answered; a server need not write
scores; labels come late; a holdout may be small. Such answers are left out. A prediction that is missing in
many rows stays, and shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.profile.record import ERROR, SCORE, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import Feature


def without_silent(
    profile: Profile, counts: Mapping[str, Counts], min_rows: int
) -> tuple[Profile, Mapping[str, Counts], list[str]]:
    """Leave out answers with too few rows to be judged.

    Args:
        profile: The reference, with the version's answers.
        counts: The window on its bins; of answers, the rows that the version itself answered.
        min_rows: So many rows are needed, in the reference too.

    Returns:
        What can be judged, its counts, and why the rest cannot.
    """
    obstacles = {one.name: _obstacle(one, counts, min_rows) for one in profile.predictions}
    kept = tuple(one for one in profile.predictions if obstacles[one.name] is None)
    left = {name for one in profile.predictions if one not in kept for name in _measures(one)}
    return (
        replace(profile, predictions=kept),
        {name: of for name, of in counts.items() if name not in left},
        [f"{name} is not judged: {why}" for name, why in obstacles.items() if why],
    )


def _obstacle(answer: Feature, counts: Mapping[str, Counts], min_rows: int) -> str | None:
    """Say why an answer cannot be judged; empty where that goes without saying."""
    name, before = next(iter(_measures(answer).items()))
    found = counts.get(name)
    if answer.name in (SCORE, ERROR) and (found is None or not found.present):
        return ""
    if before < min_rows:
        return f"its reference has {before:,} rows, {min_rows:,} needed"
    if found is not None and found.rows < min_rows:
        return f"production itself answered {found.rows:,} rows of the window, {min_rows:,} needed"
    return None


def _measures(answer: Feature) -> dict[str, int]:
    """The names under which an answer is counted, with the rows of the reference."""
    return {one.name: one.counts.rows for one in Profile((answer,), rows=0).measured}

"""A reference that moves along: a window of the log instead of what was trained on.

The log's rows are not read again, only their exact counts on the training's fine bins are at hand. So deciles
and tails are re-picked among the fine edges (`reference.rebase` states by how much they may be off), and
all counts stay exact. Of categories the training's most frequent names stay apart, in their new order; all
others, known or not, are one bin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, ListProfile
from airflow_provider_ifp.core.profile.parts import Part
from airflow_provider_ifp.core.profile.record import Profile, Segment
from airflow_provider_ifp.core.profile.reference import rebase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.profile.feature import Feature


def rolling_reference(profile: Profile, before: Part, now: Part) -> tuple[Profile, Part]:
    """Make an earlier window the reference, and give the current window's counts on its bins.

    Args:
        profile: What both windows were counted on, on the fine grid.
        before: The window that becomes the reference; a feature that it does not have is left out.
        now: The current window.

    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> trained = Profile((profile_numbers("x", np.arange(1000.0)),), rows=1000)
    >>> newer = Part(500, {"x": count_numbers(trained.features[0], np.arange(500.0))})
    >>> rolled, _ = rolling_reference(trained, newer, newer)
    >>> rolled.rows, round(rolled.features[0].cuts("deciles")[4])
    (500, 250)
    """
    features, predictions = (
        tuple(_roll(one, before.counts) for one in group if _names(one) <= before.counts.keys())
        for group in (profile.features, profile.predictions)
    )
    counts = {
        name: _moved(one, before.counts[name], now.counts[name])
        for one in (*profile.features, *profile.predictions)
        if _names(one) <= before.counts.keys()
        for name in sorted(_names(one) & now.counts.keys())
    }
    segments: list[Segment] = []
    parts: dict[str, Part] = {}
    for one in profile.segments:
        if one.name in before.segments:
            part = now.segments.get(one.name, Part())
            of_segment, parts[one.name] = rolling_reference(one.profile, before.segments[one.name], part)
            segments.append(replace(one, profile=of_segment))
    return Profile(features, before.rows, predictions, tuple(segments)), Part(now.rows, counts, parts)


def _names(feature: Feature) -> set[str]:
    measures = feature.measures if isinstance(feature, ListProfile) else (feature,)
    return {one.name for one in measures}


def _roll(feature: Feature, counts: Mapping[str, Counts]) -> Feature:
    if isinstance(feature, ListProfile):
        return replace(feature, measures=tuple(rebase(one, counts[one.name]) for one in feature.measures))
    if not isinstance(feature, CategoricalProfile):
        return rebase(feature, counts[feature.name])
    of = counts[feature.name]
    order = _order(of)
    return replace(
        feature,
        names=tuple(feature.names[place] for place in order),
        name_rows=tuple(of.bins[order].tolist()),
        beyond=int(of.bins[-2] + of.bins[-1]),
        missing=of.missing,
        noise=None,
    )


def _moved(feature: Feature, before: Counts, now: Counts) -> Counts:
    """The current window on the new reference's bins: of categories in its order, and none are unseen."""
    if feature.kind != "category":
        return now
    rest = [int(now.bins[-2] + now.bins[-1]), 0]
    return Counts(np.concatenate([now.bins[_order(before)], rest]), now.missing, now.grid)


def _order(counts: Counts) -> list[int]:
    """Places of the top categories, the most frequent first."""
    found: list[int] = np.argsort(-counts.bins[:-2], kind="stable").tolist()
    return found

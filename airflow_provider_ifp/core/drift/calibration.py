"""How much does a feature move by itself? Blocks of time of the reference window, held against its rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.drift.chance import SIGNIFICANT, chance
from airflow_provider_ifp.core.drift.psi import effect
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import coarsen, merge
from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.feature import Feature, ListProfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.core.profile.feature import Simple
    from airflow_provider_ifp.core.profile.record import Profile

FEWEST_BLOCKS: Final = 3


def calibrate(profile: Profile, blocks: Sequence[Mapping[str, Counts]]) -> Profile:
    """Return the profile with the noise of each feature, for `threshold: auto`.

    A feature's noise is the largest `effect` of any block against all others together, where that is beyond
    chance, however many blocks there are (Bonferroni); 0 where none is. Take blocks as long as the windows
    that will be checked, at least three of them.

    Args:
        profile: The reference's profile.
        blocks: By feature, counts of consecutive blocks of time of the reference; a feature that a block does
            not have keeps what it had.

    Raises:
        DatasetError: Fewer than three blocks, or counts on other bins.

    A price that rises through the reference moves by itself, a die does not:

    >>> import numpy as np
    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.record import Profile
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> rng = np.random.default_rng(0)
    >>> price, die = rng.normal(np.repeat([0, 0.3, 0.6, 0.9], 1000)), rng.normal(size=4000)
    >>> profile = Profile((profile_numbers("price", price), profile_numbers("die", die)), rows=4000)
    >>> blocks = [
    ...     {one.name: count_numbers(one, part) for one, part in zip(profile.features, parts)}
    ...     for parts in zip(np.split(price, 4), np.split(die, 4))
    ... ]
    >>> [round(feature.noise, 1) for feature in calibrate(profile, blocks).features]
    [0.4, 0.0]
    """
    if len(blocks) < FEWEST_BLOCKS:
        raise DatasetError(
            f"calibration: expected at least {FEWEST_BLOCKS} blocks of the reference window, "
            f"found {len(blocks)}; take shorter blocks, or write a threshold as a number"
        )
    noise = {
        feature.name: _noise(feature, [block[feature.name] for block in blocks])
        for feature in profile.measured
        if all(feature.name in block for block in blocks)
    }
    return replace(
        profile,
        features=tuple(_with_noise(feature, noise) for feature in profile.features),
        predictions=tuple(_with_noise(feature, noise) for feature in profile.predictions),
    )


def _noise(feature: Simple, blocks: Sequence[Counts]) -> float:
    coarse = [coarsen(feature, block, "coarse") for block in blocks]
    whole = merge(feature, coarse, "coarse")
    largest = 0.0
    for block in coarse:
        rest = Counts(whole.bins - block.bins, whole.missing - block.missing, block.grid)
        p_value = chance(rest, block)
        if p_value is not None and p_value < SIGNIFICANT / len(blocks):
            largest = max(largest, effect(rest, block))
    return largest


def _with_noise(feature: Feature, noise: Mapping[str, float]) -> Feature:
    if isinstance(feature, ListProfile):
        measures = (replace(one, noise=noise.get(one.name, one.noise)) for one in feature.measures)
        return replace(feature, measures=tuple(measures))
    return replace(feature, noise=noise.get(feature.name, feature.noise))

"""Parts of a window, counted apart and merged: each knows its rows, and which features it had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """Counts of a part of a window.

    Attributes:
        rows: All its rows.
        counts: By feature, as the reference's profile measures it; a feature that the part did not have is
            not there.
        segments: By the segment's name, its rows and counts.

    >>> x = Counts(np.array([3, 1]), missing=0, moments=Moments())
    >>> (Part(4, {"x": x}) + Part(2)).counts["x"].missing
    2
    """

    rows: int = 0
    counts: Mapping[str, Counts] = field(default_factory=dict)
    segments: Mapping[str, Part] = field(default_factory=dict)

    def __add__(self, other: Part) -> Part:
        """Join two parts: what only one of them had is missing in the rows of the other."""
        nothing = Part()
        return Part(
            self.rows + other.rows,
            {
                name: _of(self, name, other) + _of(other, name, self)
                for name in dict.fromkeys([*self.counts, *other.counts])
            },
            {
                name: self.segments.get(name, nothing) + other.segments.get(name, nothing)
                for name in dict.fromkeys([*self.segments, *other.segments])
            },
        )


def merge_parts(parts: Iterable[Part]) -> Part:
    """Join the parts of a window; without a part it has no rows."""
    return sum(parts, Part())


def _of(part: Part, name: str, other: Part) -> Counts:
    if name in part.counts:
        return part.counts[name]
    like = other.counts[name]
    moments = None if like.moments is None else Moments()
    return Counts(np.zeros_like(like.bins), part.rows, like.grid, moments)

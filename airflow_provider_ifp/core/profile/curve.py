"""The distribution function of a window, as far as its histogram knows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import NumericProfile
    from airflow_provider_ifp.core.profile.moments import Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Shares of the present values: exact at the edges, anywhere between the two ends inside an interval.

    Attributes:
        edges: of the grid that was counted on, shape (edges,).
        left: share below each edge, shape (edges,).
        right: share at or below each edge, shape (edges,).
        start: share at minus infinity, where that is an atom.
        end: share below infinity, where that is an atom; else 1.
    """

    edges: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    start: float
    end: float

    def of_finite(self, moments: Moments) -> Curve:
        """Return the curve of the finite values alone, of which there is at least one."""
        rows = moments.finite + moments.minus_infinite + moments.plus_infinite
        left, right = (
            np.clip((one * rows - moments.minus_infinite) / moments.finite, 0, 1)
            for one in (self.left, self.right)
        )
        return replace(self, left=left, right=right, start=0.0, end=1.0)

    def until(self, edge: float) -> Curve:
        """Return the part from the first edge to this one."""
        return self._part(self.edges <= edge)

    def beyond(self, edge: float) -> Curve:
        """Return the part from this edge to the last, seen from above: shares beyond instead of below."""
        part = self._part(self.edges >= edge)
        return replace(part, left=1 - part.left, right=1 - part.right)

    def at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the shares below, and at or below, each point between the first and the last edge.

        Between edges a straight line is drawn.
        """
        after = np.searchsorted(self.edges, points)
        exact = self.edges[after] == points
        before = np.maximum(after - 1, 0)
        width = np.where(exact, 1.0, self.edges[after] - self.edges[before])
        way = np.where(exact, 0.0, (points - self.edges[before]) / width)
        between = self.right[before] + way * (self.left[after] - self.right[before])
        return np.where(exact, self.left[after], between), np.where(exact, self.right[after], between)

    def quantiles(self, shares: Sequence[float], smallest: float, largest: float) -> list[float]:
        """Return quantiles of a curve of finite values, by straight lines inside the intervals.

        Args:
            shares: Between 0 and 1.
            smallest: Where the curve leaves 0.
            largest: Where it reaches 1.
        """
        known = (self.edges >= smallest) & (self.edges <= largest)
        values = np.repeat(self.edges[known], 2)
        below = np.column_stack([self.left[known], self.right[known]]).ravel()
        heights = np.concatenate([[0.0], below, [1.0]])
        found = np.interp(shares, heights, np.concatenate([[smallest], values, [largest]]))
        return [float(one) for one in found]

    def _part(self, chosen: NDArray[np.bool_]) -> Curve:
        return replace(self, edges=self.edges[chosen], left=self.left[chosen], right=self.right[chosen])


def curve_of(feature: NumericProfile, counts: Counts) -> Curve:
    """Return the curve of counts that have at least one present value.

    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> flag = profile_numbers("flag", np.array([0.0, 1.0, 1.0, 1.0]))
    >>> curve_of(flag, flag.counts).right[0], curve_of(flag, flag.counts).left[-1]
    (np.float64(0.25), np.float64(0.25))
    """
    edges = feature.lines[counts.grid]
    intervals, of_atoms = np.split(counts.bins, [len(edges) + 1])
    at_edges, merged = np.zeros(len(edges), dtype=np.int64), intervals.copy()
    first, last = 0, 0
    for atom, rows in zip(feature.atoms, of_atoms.tolist(), strict=True):
        place = int(np.searchsorted(edges, atom))
        if atom == -np.inf:
            first = rows
        elif atom == np.inf:
            last = rows
        elif place < len(edges) and edges[place] == atom:
            at_edges[place] = rows
        else:
            # A coarse grid need not have an edge at an atom: its rows lie somewhere in the interval.
            merged[place] += rows
    right = first + np.cumsum(merged[:-1]) + np.cumsum(at_edges)
    rows = counts.present
    return Curve(
        edges=edges,
        left=(right - at_edges) / rows,
        right=right / rows,
        start=first / rows,
        end=(rows - last) / rows,
    )

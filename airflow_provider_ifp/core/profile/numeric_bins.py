"""Where the bins of a numeric feature lie, out of its order statistics (an array's, or a database's)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from airflow_provider_ifp.core.profile.feature import NumericProfile
from airflow_provider_ifp.core.profile.moments import Moments
from airflow_provider_ifp.core.profile.quantiles import finite_quantiles, ranks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FINE: Final = 1_000
TENTHS: Final = np.arange(1, 10) / 10
TAILS: Final = np.array([1, 5, 95, 99]) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the bins of a numeric feature are made of.

    Attributes:
        rows: how many values are present.
        at: gives the values at ranks, from 0, in ascending order: those of `needed_ranks`.
        atoms: the values that make a tenth or more of them each, ascending.
        centre: mean of the finite ones, 0 where there are none.
        low, high: the smallest and the largest of those; None: there are none.
    """

    rows: int
    at: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    atoms: NDArray[np.float64]
    centre: float
    low: float | None
    high: float | None


def needed_ranks(rows: int, fine: int = FINE) -> NDArray[np.int64]:
    """Return the ranks, from 0, whose values make the bins of so many values.

    >>> needed_ranks(3)
    array([0, 1, 2])
    """
    if not rows:
        return np.empty(0, dtype=np.int64)
    shares = (_shares(fine), TENTHS, TAILS)
    return np.unique(np.concatenate([rank for share in shares for rank in ranks_of(rows, share)]))


def empty_numbers(
    name: str, order: Order, value_type: Literal["number", "time"] = "number", fine: int = FINE
) -> NumericProfile:
    """Make the bins of a numeric feature, without rows in them; arguments as of `profile_numbers`."""
    # `+ 0.0` makes -0.0 the same value as 0.0 in the written record too.
    atoms = order.atoms + 0.0
    quantiles = finite_quantiles(order.rows, _shares(fine), order.at)
    edges = np.unique(np.concatenate([quantiles, atoms[np.isfinite(atoms)]])) + 0.0
    return NumericProfile(
        name=name,
        value_type=value_type,
        edges=tuple(edges.tolist()),
        deciles=_places(edges, finite_quantiles(order.rows, TENTHS, order.at)),
        tails=_places(edges, finite_quantiles(order.rows, TAILS, order.at)),
        atoms=tuple(atoms.tolist()),
        interval_rows=(0,) * (len(edges) + 1),
        atom_rows=(0,) * len(atoms),
        missing=0,
        centre=order.centre,
        low=order.low,
        high=order.high,
        moments=Moments(),
    )


def _shares(fine: int) -> NDArray[np.float64]:
    # Divided, not multiplied: 100 / 1000 is the same float as 1 / 10, and so the edge the same as the decile.
    return np.arange(1, fine) / fine


def _places(edges: NDArray[np.float64], chosen: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(np.unique(np.searchsorted(edges, chosen)).tolist())

"""How candidate and production differ, request by request, and how far beyond what the holdout shows.

Numbers: d = candidate - production in standard deviations of production's predictions on the log. They
differ where |d| > tol (0.1). How far beyond the holdout a group of requests differs is measured at ten
distances t = tol x {0, 1, 2, 4, 7, 10, 20, 30, 50}, upwards and downwards by themselves:

    max over t of (share of the group with d > t + tol) - U95(rows of the holdout with d > t), floored at 0

U95 is the one-sided Clopper-Pearson bound; the slack of tol between the two keeps small shifts from counting.
Labels: the sum over the changed transitions (production's label -> the candidate's) of share - U95, each
floored at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.core.figures import figure
from airflow_provider_ifp.core.metrics.proportions import upper_bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.intp]

STEPS: Final = (0, 1, 2, 4, 7, 10, 20, 30, 50)
"""The distances, in tolerances."""


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """What a cell's requests differ by, beyond what the holdout's rows do.

    Attributes:
        share: Share of the cell's requests, 0 to 1.
        log_share: Of the finding that weighs most: the share of the requests that differ so.
        holdout_share: The most that it may be on the holdout, by its upper bound.
        what: That finding in words: `lie more than 0.5 sd below production`.
    """

    share: float
    log_share: float
    holdout_share: float
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Each row's difference as the number of its kind, in log and holdout.

    Attributes:
        log: Which level each request reaches: numbers: for each direction how many of the distances + tol
            |d| exceeds; labels: the transition. Shape (requests, directions).
        holdout: The same of the holdout's rows, without the slack.
        differs: Which requests differ.
        kinds: What the levels mean in words, in each direction.
        cumulative: Whether a level includes those below it (numbers), or stands alone (labels).
    """

    log: Codes
    holdout: Codes
    differs: NDArray[np.bool_]
    kinds: tuple[tuple[str, ...], ...]
    cumulative: bool

    def excesses(self, log: Codes, holdout: Codes, cells: int, among: NDArray[np.bool_]) -> list[Excess]:
        """Measure each cell's excess.

        Args:
            log: Cell of each request.
            holdout: Cell of each of the holdout's rows.
            cells: How many cells there are.
            among: The requests that count; the others are left out of every share.
        """
        rows_log = np.bincount(log[among], minlength=cells)
        rows_holdout = np.bincount(holdout, minlength=cells)
        shares, bounds = [], []
        for side, kinds in enumerate(self.kinds):
            levels = len(kinds) + 1
            found_log = _count(log[among], self.log[among, side], cells, levels)
            found_holdout = _count(holdout, self.holdout[:, side], cells, levels)
            if self.cumulative:
                found_log, found_holdout = (
                    np.flip(np.flip(found, 1).cumsum(axis=1), 1) for found in (found_log, found_holdout)
                )
            shares.append(found_log[:, 1:] / np.maximum(rows_log, 1)[:, None])
            bounds.append(upper_bounds(found_holdout[:, 1:], rows_holdout[:, None]))
        return [
            self._worst([share[cell] for share in shares], [bound[cell] for bound in bounds])
            for cell in range(cells)
        ]

    def _worst(self, shares: list[NDArray[Any]], bounds: list[NDArray[Any]]) -> Excess:
        """Sum up one cell: the largest of each direction, or all transitions; and name what weighs most."""
        beyond = [np.maximum(share - bound, 0) for share, bound in zip(shares, bounds, strict=True)]
        total = sum(float(one.max(initial=0) if self.cumulative else one.sum()) for one in beyond)
        side = int(np.argmax([one.max(initial=0) for one in beyond]))
        if not len(beyond[side]):
            return Excess(0.0, 0.0, 0.0, "")
        place = int(np.argmax(beyond[side]))
        return Excess(
            min(1.0, total),
            float(shares[side][place]),
            float(bounds[side][place]),
            self.kinds[side][place],
        )


def compare_answers(
    candidate: tuple[NDArray[Any], NDArray[Any]],
    production: tuple[NDArray[Any], NDArray[Any]],
    tolerance: float,
) -> Differences:
    """Hold the candidate's answers against production's, on log and holdout.

    Args:
        candidate: Its predictions on the log's requests and on the holdout's rows: numbers or labels, shape
            (rows,), or numbers of shape (rows, k), of which the one that differs most counts.
        production: Production's, of the same shapes.
        tolerance: Numbers that differ by no more than this many standard deviations of production's
            predictions on the log do not differ.

    Raises:
        ModelError: One version answers with numbers, the other with text, or in another shape.
    """
    for one, other in zip(candidate, production, strict=True):
        if problem := kinds_problem(one, other):
            raise ModelError(problem)
    if _kind(candidate[0]) == "text":
        return _of_labels(candidate, production)
    return _of_numbers(candidate, production, tolerance)


def kinds_problem(candidate: NDArray[Any], production: NDArray[Any]) -> str | None:
    """Say how answers to the same rows cannot be compared; None where they can."""
    if _kind(candidate) == _kind(production) and candidate.shape == production.shape:
        return None
    return (
        f"the candidate answers with {_kind(candidate)} of shape {candidate.shape}, production with "
        f"{_kind(production)} of shape {production.shape}; a candidate must answer as production does"
    )


def _kind(answers: NDArray[Any]) -> str:
    return "text" if answers.dtype.kind in "OUST" else "numbers"


def _of_numbers(
    candidate: tuple[NDArray[Any], ...], production: tuple[NDArray[Any], ...], tolerance: float
) -> Differences:
    spread = np.std(production[0].astype(np.float64), axis=0)
    log, holdout = (
        _scaled(one.astype(np.float64) - other.astype(np.float64), spread)
        for one, other in zip(candidate, production, strict=True)
    )
    distances = np.array(STEPS) * tolerance
    kinds = tuple(
        tuple(
            f"lie more than {figure(distance + tolerance, 3)} sd {side} production" for distance in distances
        )
        for side in ("above", "below")
    )
    levels = [
        np.stack([np.searchsorted(at, d), np.searchsorted(at, -d)], axis=1)
        for d, at in ((log, distances + tolerance), (holdout, distances))
    ]
    return Differences(levels[0], levels[1], np.abs(log) > tolerance, kinds, cumulative=True)


def _scaled(difference: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """In standard deviations; of several numbers a row the one that differs most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # A constant production: any difference is infinitely many of its deviations.
        scaled = np.where(difference == 0, 0.0, difference / spread)
    if scaled.ndim == 1:
        return scaled
    largest = np.argmax(np.abs(scaled), axis=1)
    return np.asarray(scaled[np.arange(len(scaled)), largest])


def _of_labels(candidate: tuple[NDArray[Any], ...], production: tuple[NDArray[Any], ...]) -> Differences:
    texts = [one.astype(np.str_) for one in (*production, *candidate)]
    names, codes = np.unique(np.concatenate(texts), return_inverse=True)
    cuts = np.cumsum([len(text) for text in texts])[:-1]
    log_from, holdout_from, log_to, holdout_to = np.split(codes, cuts)
    differs = log_from != log_to
    pairs = [
        np.where(one != other, one * len(names) + other + 1, 0)
        for one, other in ((log_from, log_to), (holdout_from, holdout_to))
    ]
    # Only the transitions that the log shows: with many classes there are too many possible ones.
    seen = np.unique(pairs[0][differs])
    log = np.where(differs, np.searchsorted(seen, pairs[0]) + 1, 0)
    place = np.minimum(np.searchsorted(seen, pairs[1]), max(len(seen) - 1, 0))
    known = seen[place] == pairs[1] if len(seen) else np.zeros(len(pairs[1]), np.bool_)
    holdout = np.where(known, place + 1, 0)
    labels = names.tolist()
    kinds = tuple(
        f"change from {labels[(pair - 1) // len(labels)]} to {labels[(pair - 1) % len(labels)]}"
        for pair in seen.tolist()
    )
    return Differences(log[:, None], holdout[:, None], differs, (kinds,), cumulative=False)


def _count(cells: Codes, levels: Codes, all_cells: int, all_levels: int) -> NDArray[np.int64]:
    """Count rows by cell and level, shape (cells, levels)."""
    flat = np.bincount(cells * all_levels + levels, minlength=all_cells * all_levels)
    return flat.reshape(all_cells, all_levels)

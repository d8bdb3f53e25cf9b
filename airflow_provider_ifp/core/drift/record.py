"""The record behind `drift.html`: a check, the bins it rests on, and how each feature went through time.

Format `ifp.drift/1`, described in docs/drift-record.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ifp.core.drift.psi import psi
from airflow_provider_ifp.core.figures import figures
from airflow_provider_ifp.core.profile.counting import coarsen
from airflow_provider_ifp.core.profile.counts import TOP_CATEGORIES
from airflow_provider_ifp.core.profile.record import PREDICTION, WRONG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.core.drift.findings import DriftCheck
    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import NumericProfile, Simple
    from airflow_provider_ifp.core.profile.record import Profile
    from airflow_provider_ifp.core.windows import Window

FORMAT: Final = "ifp.drift/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A check, and what it rests on.

    Attributes:
        check: What was found.
        profile: The reference's.
        counts: The current window's, by measured name.
        blocks: Parts of the window in the order of time, with their counts.
    """

    check: DriftCheck
    profile: Profile
    counts: Mapping[str, Counts]
    blocks: Sequence[tuple[Window, Mapping[str, Counts]]] = ()


def drift_record(
    compared: Compared,
    *,
    model: str,
    version: str,
    window: Window,
    reference: str,
    notes: Sequence[str] = (),
    errors: Compared | None = None,
) -> dict[str, Any]:
    """Put together what a reader wants to see of a check.

    Args:
        compared: The check of features and answers.
        model: The registered model.
        version: The version in production.
        window: The current window.
        reference: What it was held against, in words: `what version 1 was trained on`.
        notes: What was left out, and why.
        errors: The check of production's errors; None: no label is known.

    Returns:
        Finite JSON. Features stand as in the check, the farthest moved first; a feature of a segment has its
        statistics, but no bins.
    """
    record = {
        "format": FORMAT,
        "model": model,
        "version": version,
        "window": _times(window),
        "reference": reference,
        "notes": list(notes),
        **compared.check.to_json(),
        "features": _features(compared),
    }
    return record if errors is None else {**record, "error": _error(errors, compared.counts)}


def _features(compared: Compared) -> list[dict[str, Any]]:
    features = {feature.name: feature for feature in compared.profile.measured}
    record = []
    for found in compared.check.features:
        written = found.to_json()
        name = found.measured.name
        if found.measured.segment is None and name in features and name in compared.counts:
            written["bins"] = _bins(features[name], compared.counts[name])
            written["over_time"] = [
                _block(features[name], of, block[name]) for of, block in compared.blocks if name in block
            ]
        record.append(written)
    return record


def _error(errors: Compared, answers: Mapping[str, Counts]) -> dict[str, Any]:
    """The error as a feature, with its size, and how many of production's answers have a label."""
    feature = errors.profile.measured[0]
    counts = errors.counts[feature.name]
    windows = {"reference": feature.counts, "current": counts}
    size = "rmse" if feature.kind == "number" else "wrong"
    return {
        "answered": answers[PREDICTION].rows if PREDICTION in answers else None,
        "labelled": counts.rows,
        size: {name: error_size(feature, of) for name, of in windows.items()},
        **_features(errors)[0],
    }


def error_size(feature: Simple, counts: Counts) -> float | None:
    """How wrong the answers of a window were; None where none has a label.

    Args:
        feature: The profile of errors: prediction - label, or `right` and `wrong`.
        counts: On its bins.

    Returns:
        The root of the mean square of numbers, in their unit; of labels the share that was wrong.

    >>> import numpy as np
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> errors = profile_numbers("prediction error", np.array([3.0, -4.0]))
    >>> error_size(errors, errors.counts)
    3.5355339059327378
    """
    if feature.kind == "category":
        wrong = feature.names.index(WRONG) if WRONG in feature.names else None
        # A holdout without a mistake has no bin for one: there they are the values that it lacks.
        return int(counts.bins[-1 if wrong is None else wrong]) / counts.rows if counts.rows else None
    moments = counts.moments
    if moments is None or not moments.finite:
        return None
    mean = feature.centre + moments.sum / moments.finite
    return math.hypot(mean, moments.deviation)


def _bins(feature: Simple, counts: Counts) -> list[dict[str, Any]]:
    before, now = (coarsen(feature, one, "coarse") for one in (feature.counts, counts))
    old, new = max(before.rows, 1), max(now.rows, 1)
    bins = [
        {"bin": name, "reference": before.bins[place] / old, "current": now.bins[place] / new}
        for name, place in name_bins(feature)
        if before.bins[place] or now.bins[place]
    ]
    if before.missing or now.missing:
        bins.append({"bin": "missing", "reference": before.missing / old, "current": now.missing / new})
    return bins


def name_bins(feature: Simple) -> list[tuple[str, int]]:
    """Name the bins of the coarse grid as a reader wants them, and say where each stands in the counts.

    Numbers ascend, heavy values among them; categories stand as in the profile.

    >>> import numpy as np
    >>> from airflow_provider_ifp.core.profile.reference import profile_categories, profile_numbers
    >>> name_bins(profile_numbers("x", np.repeat([0.0, 5.0], [98, 2])))
    [('below 0', 0), ('exactly 0', 3), ('0 to 5', 1), ('above 5', 2)]
    >>> name_bins(profile_categories("c", {"a": 2, "b": 1}, missing=0))
    [('a', 0), ('b', 1), ('other', 2), ('not in the reference', 3)]
    """
    if feature.kind == "category":
        names = [*feature.names[:TOP_CATEGORIES], "other", "not in the reference"]
        return list(zip(names, range(len(names)), strict=True))
    edges = feature.cuts("coarse")
    cuts, atoms = _texts(feature, edges), _texts(feature, feature.atoms)
    if cuts:
        names = [f"below {cuts[0]}", *(f"{a} to {b}" for a, b in pairwise(cuts)), f"above {cuts[-1]}"]
    else:
        names = ["any value"]
    ends = [*((edge, 0) for edge in edges), (math.inf, 2), *((atom, 1) for atom in feature.atoms)]
    names += [f"exactly {atom}" for atom in atoms]
    order = sorted(range(len(names)), key=ends.__getitem__)
    return [(names[place], place) for place in order]


def _texts(feature: NumericProfile, values: Sequence[float]) -> list[str]:
    if feature.value_type == "time":
        return [f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}" for value in values]
    return figures(values)


def _block(feature: Simple, window: Window, counts: Counts) -> dict[str, Any]:
    moments = counts.moments
    mean = None
    if feature.kind == "number" and moments is not None and moments.finite:
        mean = feature.centre + moments.sum / moments.finite
    return {
        **_times(window),
        "rows": counts.rows,
        "psi": psi(feature, counts) if counts.rows and feature.counts.rows else None,
        "missing": counts.missing / counts.rows if counts.rows else None,
        "mean": mean,
    }


def _times(window: Window) -> dict[str, str | None]:
    return {
        "start": None if window.start is None else window.start.isoformat(),
        "end": window.end.isoformat(),
    }

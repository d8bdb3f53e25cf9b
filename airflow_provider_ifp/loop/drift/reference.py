"""What production's windows are held against: profiles that are stored as a version is trained and judged."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.columns import value_type
from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import count_texts, profile_column, profile_table
from airflow_provider_ifp.adapters.data.scanning import in_utc, window_filter
from airflow_provider_ifp.adapters.log.answer_errors import error_kind, prediction_errors
from airflow_provider_ifp.core.drift.calibration import FEWEST_BLOCKS, calibrate
from airflow_provider_ifp.core.errors import PolicyError, RegistryError
from airflow_provider_ifp.core.profile.record import ERROR, PREDICTION, SCORE, Profile, Segment
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_lists, profile_numbers
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.drift.baseline import read_baseline

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.metrics.answers import Answers
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.profile.feature import Feature
    from airflow_provider_ifp.loop.labelled import Columns

PROFILE: Final = "ifp/profile.json"
"""Of the training window: its features, and its segments."""
ANSWERS: Final = "ifp/prediction_profile.json"
"""Of the holdout: what the version answered."""

MOST_SEGMENTS: Final = 20
FEWEST_ROWS: Final = 200
"""Of a segment; with fewer its deciles are too rough for anything to be called."""
MOST_BLOCKS: Final = 100
"""Each reads the time column once: with as many windows of an hour as 90 days have, a minute."""
_FINE_OF_SEGMENT: Final = 100
"""Parts of equal rows, so that 20 segments take no more room than two references; KS is off by 1% at most."""


def make_reference(table: pa.Table, columns: Columns, policy: Policy) -> Profile:
    """Profile the training window: its features, how far they move by themselves, and its segments.

    Args:
        table: The window's rows.
        columns: The features, and which are categories.
        policy: Its `monitor` names the segments, and how long a window of the log is.

    Raises:
        PolicyError: a segment is no feature, or its values are no categories.
        DatasetError: a feature has no profile.
    """
    blocks = calibration_blocks(table, str(policy.data.time_column), _longest_window(policy))
    profile = profile_table(table, columns.features, columns.categorical)
    segments: list[Segment] = []
    for column in policy.watch.segments:
        _require_segment(column, table, columns)
        names = pc.cast(table[column], pa.string())
        for value in _largest(names):
            rows = table.filter(pc.fill_null(pc.equal(names, value), fill_value=False))
            of_value = profile_table(rows, columns.features, columns.categorical, _FINE_OF_SEGMENT)
            segments.append(Segment(column, value, _calibrated(of_value, rows, policy, blocks)))
    return replace(_calibrated(profile, table, policy, blocks), segments=tuple(segments))


def calibration_blocks(table: pa.Table, time_column: str, length: timedelta) -> list[Window]:
    """Cut a reference into blocks of time as long as a window of the log, or into thirds where it is short.

    Returns:
        The blocks in the order of time, the last one with the newest row; of more than 100 at most as many
        as that, at equal steps. None where all rows are of one moment.
    """
    times = pc.min_max(in_utc(table[time_column])).as_py()
    start, end = times["min"], times["max"] + timedelta(microseconds=1)
    length = min(length, (end - start) / FEWEST_BLOCKS)
    if length <= timedelta(0):
        return []
    count = (end - start) // length
    ends = [end - length * back for back in range(0, count, -(-count // MOST_BLOCKS))]
    return [Window(one - length, one) for one in reversed(ends)]


def profile_answers(answers: Answers, label: pa.ChunkedArray) -> Profile:
    """Profile what a version answered on the holdout, as it answers in the log, and its errors.

    Args:
        answers: Of each row.
        label: What was true of it. Where answers and labels cannot be compared (lists, or text against
            numbers, which the gates refuse), there are no errors.
    """
    predictions = [_profile_values(PREDICTION, answers.prediction)]
    if answers.score is not None:
        predictions.append(_profile_values(SCORE, answers.score))
    if answers.prediction.ndim == 1:
        answered = pa.array(answers.prediction)
        kind = error_kind(answered.type, label.type, scored=answers.score is not None)
        if kind is not None:
            errors = prediction_errors(answered, label.combine_chunks(), kind, "holdout")
            predictions.append(profile_column(ERROR, errors, None))
    return Profile((), len(answers.prediction), tuple(predictions))


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows are held against.

    Attributes:
        profile: Its rows on its bins.
        words: What it is.
        frozen: No rolling window takes over.
    """

    profile: Profile
    words: str
    frozen: bool = False


def find_reference(registry: Registry, version: ModelVersion, *, answers: bool) -> Reference:
    """The baseline that a person set, else what the version was trained on.

    Args:
        registry: Where both are.
        version: The version in production.
        answers: With its answers on the holdout, where a gate has recorded them.

    Raises:
        RegistryError: there is neither.
        DatasetError: a profile is damaged, or has another format.
        DigestMismatchError: the baseline is not what was written.
    """
    baseline = read_baseline(registry, version.model)
    if baseline is None:
        profile = read_reference(registry, version, answers=answers)
        return Reference(profile, f"what version {version.version} was trained on")
    # Its answers on the holdout belong to the world before: a baseline says that another one is right.
    return Reference(baseline.profile, f"the baseline {baseline.label}", baseline.frozen)


def read_reference(registry: Registry, version: ModelVersion, *, answers: bool) -> Profile:
    """Read the reference of a version.

    Args:
        registry: Where its run is.
        version: The version.
        answers: With its answers on the holdout, where a gate has recorded them.

    Raises:
        RegistryError: the version has no profile.
        DatasetError: a profile is damaged, or has another format.
    """
    content = registry.get_file(version.run_id, PROFILE)
    if content is None:
        raise RegistryError(
            f"{version.model} version {version.version} has no {PROFILE} in its training run "
            f"{version.run_id}, so there is nothing to hold the prediction log against; a version trained by "
            "TrainOperator has one"
        )
    profile = Profile.from_json(json.loads(content), where=f"{PROFILE} of run {version.run_id}")
    return replace(profile, predictions=_read_answers(registry, version)) if answers else profile


def _read_answers(registry: Registry, version: ModelVersion) -> tuple[Feature, ...]:
    content = registry.get_file(version.run_id, ANSWERS)
    if content is None:
        return ()
    return Profile.from_json(json.loads(content), where=f"{ANSWERS} of run {version.run_id}").predictions


def write_profile(profile: Profile) -> bytes:
    """Write a profile as both files hold it."""
    return json.dumps(profile.to_json(), separators=(",", ":")).encode()


def _require_segment(column: str, table: pa.Table, columns: Columns) -> None:
    if column not in columns.features:
        raise PolicyError(
            f"monitor.segments: {column} is no feature, so the log does not have it; the features are "
            f"{', '.join(columns.features)}"
        )
    found = table.schema.field(column).type
    if value_type(found) not in ("text", "boolean") and not pa.types.is_integer(found):
        raise PolicyError(
            f"monitor.segments: {column}: expected text, booleans or whole numbers, found {found}; "
            "write a column of names beside it, and name that one"
        )


def _largest(names: pa.ChunkedArray) -> list[str]:
    """The most frequent values, as many as are watched and have rows enough."""
    counted, _ = count_texts(names)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [value for value, rows in ordered[:MOST_SEGMENTS] if rows >= FEWEST_ROWS]


def _longest_window(policy: Policy) -> timedelta:
    """The longest window of the log that the trigger asks about."""
    usual = policy.watch.evaluation_window
    return max((condition.window or usual for condition in policy.drift_conditions), default=usual)


def _calibrated(profile: Profile, table: pa.Table, policy: Policy, blocks: list[Window]) -> Profile:
    """The profile with the noise of its features, where there are blocks enough that have rows."""
    name = str(policy.data.time_column)
    counted = []
    for block in blocks:
        rows = table.filter(window_filter(name, table.schema.field(name).type, block))
        if rows.num_rows:
            counted.append(count_batches(profile, rows.to_batches(), "coarse"))
    return calibrate(profile, counted) if len(counted) >= FEWEST_BLOCKS else profile


def _profile_values(name: str, values: Any) -> Feature:
    found = np.asarray(values)
    if found.ndim > 1:
        return profile_lists(name, found.astype(np.float64))
    if found.dtype.kind in "biuf":
        return profile_numbers(name, found.astype(np.float64))
    present = [str(value) for value in found.tolist() if value is not None]
    return profile_categories(name, Counter(present), len(found) - len(present))

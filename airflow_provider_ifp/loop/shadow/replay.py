"""Replay: candidate and production answer logged requests again, and the holdout, side by side.

Any server's log will do. Production's answers are held against the log first: where they differ, the log does
not say what users were answered with, and nothing can be told from it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.core.shadow.checks import Latency
from airflow_provider_ifp.core.shadow.gate import Shadowed, Side
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.shadow.log import (
    Pairs,
    align,
    duration_of,
    is_answered,
    is_present,
    predictions_of,
    read_requests,
    thin_out,
)
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.pace import ANSWERED
from airflow_provider_ifp.training.replay import Replayed, replay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.policy.sections import ShadowSection
    from airflow_provider_ifp.loop.labelled import Columns
    from airflow_provider_ifp.loop.shadow.log import Log

MOST_PAIRS: Final = 50_000
TIMED: Final = 300
"""Requests that both versions answer one by one."""
HOW_TIMED: Final = "one request at a time, both in turns"
RELATIVE: Final = 1e-5
OF_SPREAD: Final = 1e-4
"""Of production's standard deviation: batches of other sizes sum floats in another order."""
_OK, _FAILED = 200, 500


@dataclass(frozen=True, slots=True)
class _Requests:
    """Logged requests: those that are judged, newer ones apart, and what the reader must know of them."""

    judged: pa.Table
    newer: pa.Table
    note: str


def replay_requests(
    registry: Registry,
    versions: tuple[ModelVersion, ModelVersion],
    log: Log,
    *,
    holdout: pa.Table,
    period: Window,
    now: datetime,
    columns: Columns,
    rules: ShadowSection,
    layers: Path | None = None,
) -> Shadowed:
    """Ask both versions again what users asked, and write what the candidate answers to the log.

    Args:
        registry: Where the versions are.
        versions: The candidate, and production.
        log: Where the requests are; the candidate's answers go to its stage `replay`.
        holdout: The holdout's rows.
        period: The holdout's window: its requests are judged, and newer ones where there are too few.
        now: The time of the run; newer requests end there.
        columns: The features.
        rules: How many pairs, and how much time, are needed.
        layers: As of `training.layers.version_environment`.

    Raises:
        PredictionLogError: no log of this model, or one that cannot be read.
        DigestMismatchError: stored files of either version are not those that were registered.
        ModelError: a version does not load, or answers in another shape.
    """
    candidate, production = versions
    requests = _choose(log, period, now, columns, rules)
    judged = requests.judged
    if judged.num_rows < rules.min_pairs or duration_of(judged) < rules.min_duration:
        return _too_few(requests)
    logged = pa.concat_tables([judged, requests.newer])
    rows, count = holdout.num_rows, judged.num_rows
    timed = rows + np.linspace(0, count - 1, min(TIMED, count)).astype(np.int64)
    table = align(logged, holdout, columns.features)
    scored = _score(registry, versions, table, timed.tolist(), layers)
    pairs = Pairs(table, columns, *(one.answers["prediction"] for one in scored), *map(_there, scored))
    of_log, of_newer = pairs.part(rows, count), pairs.part(rows + count, requests.newer.num_rows)
    _write(log, logged, candidate.version, scored[0].answers.slice(rows))
    return Shadowed(
        log=of_log.side(),
        holdout=pairs.part(0, rows).side(),
        asked=of_log.asked,
        errors=of_log.errors,
        duration=duration_of(judged),
        fidelity=_fidelity(judged, of_log, production.version),
        latency=Latency(scored[0].times, scored[1].times, HOW_TIMED),
        newer=of_newer.side() if of_newer.asked else None,
        note=requests.note,
    )


def _choose(log: Log, period: Window, now: datetime, columns: Columns, rules: ShadowSection) -> _Requests:
    """The requests of the holdout's own period, longer where `min_duration` asks for it; newer ones apart."""
    start = period.end - rules.min_duration
    if period.start is not None:
        start = min(start, period.start)
    found = read_requests(log, "production", Window(start, max(now, period.end)), columns.features)
    if found.num_rows:
        found = found.filter(pa.array(is_answered(found)))
    newer = np.zeros(0, np.bool_)
    if found.num_rows:
        moments = found["ts"].cast(pa.timestamp("us")).to_numpy()
        newer = moments >= np.datetime64(period.end.replace(tzinfo=None), "us")
    of_period, after = found.filter(pa.array(~newer)), found.filter(pa.array(newer))
    most = max(MOST_PAIRS, rules.min_pairs)
    if of_period.num_rows < rules.min_pairs and after.num_rows:
        note = (
            f"the log has {of_period.num_rows:,} requests of the holdout's period, so that newer ones are "
            "judged with them"
        )
        return _Requests(thin_out(found, most), found.slice(0, 0), note)
    return _Requests(thin_out(of_period, most), thin_out(after, most), "")


def _too_few(requests: _Requests) -> Shadowed:
    """Nothing is scored where nothing can be decided."""
    none = Side({}, np.empty(0), np.empty(0))
    count = requests.judged.num_rows
    return Shadowed(none, none, count, 0, duration_of(requests.judged), note=requests.note)


def _score(
    registry: Registry,
    versions: Sequence[ModelVersion],
    table: pa.Table,
    timed: Sequence[int],
    layers: Path | None,
) -> list[Replayed]:
    with tempfile.TemporaryDirectory(prefix="ifp-replay-") as scratch:
        folders = [Path(scratch, f"version-{one.version}-{place}") for place, one in enumerate(versions)]
        for version, folder in zip(versions, folders, strict=True):
            fetch(registry, version, folder)
        return replay(folders, table, Path(scratch), timed, layers=layers)


def _there(scored: Replayed) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows got an answer that is a prediction."""
    answers = scored.answers
    return np.asarray(is_present(answers["prediction"]) & answers[ANSWERED].to_numpy())


def _fidelity(judged: pa.Table, scored: Pairs, production: str) -> tuple[int, int]:
    """How many of the requests that this production answered it answers the same now, and of how many."""
    own = np.array([version == production for version in judged["model_version"].to_pylist()], np.bool_)
    compared = own & scored.production_there
    if not compared.any():
        return 0, int(np.count_nonzero(own))
    chosen = pa.array(compared)
    before = predictions_of(judged["prediction"].filter(chosen))
    after = predictions_of(scored.production.filter(chosen))
    if before.shape != after.shape or before.dtype.kind != after.dtype.kind:
        return 0, int(np.count_nonzero(own))
    if before.dtype.kind == "O":
        same = before == after
    else:
        slack = OF_SPREAD * before.std(axis=0)
        same = np.abs(after - before) <= slack + RELATIVE * np.abs(before)
        same = same.reshape(len(same), -1).all(axis=1)
    return int(np.count_nonzero(same)), int(np.count_nonzero(own))


def _write(log: Log, logged: pa.Table, candidate: str, answers: pa.Table) -> None:
    """Write what the candidate answers; the same replay again replaces the same files."""
    asked = [name for name in logged.column_names if name in log.features]
    arrays = [logged[name].combine_chunks() for name in asked]
    status = np.where(answers[ANSWERED].to_numpy(), _OK, _FAILED)
    prediction = answers["prediction"]
    if pa.types.is_boolean(prediction.type):
        prediction = prediction.cast(pa.string())
    columns = {
        "request_id": logged["request_id"],
        "row": logged["row"],
        "ts": logged["ts"],
        "model_version": pa.array([candidate] * logged.num_rows, pa.string()),
        "features": pa.StructArray.from_arrays(arrays, asked),
        "prediction": prediction,
        "status": pa.array(status),
    }
    if "score" in answers.column_names:
        columns["score"] = answers["score"]
    write_predictions(log.root, log.model, "replay", pa.table(columns))

"""How a batch of requests is answered: read each, answer those of one kind together, write each reply.

A request that cannot be read, or that the model fails on, is told so; those beside it are answered.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from airflow_provider_ifp.core.errors import ModelError, RequestError, SignatureError
from airflow_provider_ifp.serving.log.rows import AnsweredFrame, write_rows
from airflow_provider_ifp.serving.messages import OPEN_INFERENCE, Answered, Reply
from airflow_provider_ifp.serving.worker import open_inference, scoring
from airflow_provider_ifp.serving.worker.columns import Columns
from airflow_provider_ifp.serving.worker.frames import Answers, Asked, join_columns, kind_of, make_frame

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy as np

    from airflow_provider_ifp.serving.messages import Ask, Request

log = logging.getLogger(__name__)

_OUTPUTS = ("prediction", "score")
_BAD, _UNPROCESSABLE, _FAILED = 400, 422, 500


@dataclass(slots=True)
class Served:
    """A version that answers.

    Attributes:
        model: The registered model.
        version: Its number.
        predictor: Has `predict(frame)`, which answers a frame with `prediction`.
        columns: What it takes; empty: whatever the caller sends.
        logs: Whether rows of the log are wanted.
    """

    model: str
    version: str
    predictor: Any
    columns: Columns
    logs: bool = False

    def answer(self, ask: Ask) -> Answered:
        """Answer a batch; every request gets a reply."""
        batch = _Batch(self, ask.requests)
        batch.answer()
        replies = [reply or Reply(_FAILED, b"") for reply in batch.replies]
        rows = self._rows_of(batch.frames) if self.logs else b""
        return Answered(ask.batch, replies, rows, batch.compute_us, batch.rows)

    def _rows_of(self, frames: Sequence[AnsweredFrame]) -> bytes:
        """The rows for the log; rows that cannot stand there are no reason to keep an answer back."""
        try:
            return write_rows(frames, self.version)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            _warn_once(f"{self.model} version {self.version}: answers cannot be logged: {error}")
            return b""

    def predict(self, columns: dict[str, pa.Array], rows: int) -> dict[str, np.ndarray | list[Any]]:
        """Ask the model; `prediction`, and `score` where it has one, each a value a row.

        Raises:
            ModelError: it answers another number of rows, or no `prediction`.
        """
        answered = self.predictor.predict(make_frame(columns))
        if not isinstance(answered, pd.DataFrame) or "prediction" not in answered:
            raise ModelError(
                f"the model answered {type(answered).__name__}, expected a frame with 'prediction'"
            )
        if len(answered) != rows:
            raise ModelError(f"the model answered {len(answered)} rows for {rows}")
        return {name: answered[name].to_numpy() for name in _OUTPUTS if name in answered}


@functools.cache
def _warn_once(text: str) -> None:
    log.warning(text)


@dataclass(slots=True)
class _Batch:
    """A batch while it is answered."""

    served: Served
    requests: Sequence[Request]
    replies: list[Reply | None] = field(init=False)
    frames: list[AnsweredFrame] = field(default_factory=list)
    compute_us: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        self.replies = [None] * len(self.requests)

    def answer(self) -> None:
        own = self.served.columns
        alike: dict[Hashable, list[tuple[int, Asked]]] = defaultdict(list)
        for place, request in enumerate(self.requests):
            try:
                asked = self._read(request)
                names = () if own.names else tuple(asked.columns)
                columns = own if own.names else Columns.untyped(names)
                alike[names, kind_of(asked, columns)].append((place, asked))
            except Exception as error:  # noqa: BLE001 - whatever a body makes us stumble over is its own affair
                self._refuse(place, error)
        for members in alike.values():
            self._answer_alike(own if own.names else Columns.untyped(members[0][1].columns), members)

    def _read(self, request: Request) -> Asked:
        if request.protocol == OPEN_INFERENCE:
            return open_inference.read_request(request.body, request.header_length, self.served.columns.names)
        return scoring.read_request(request.body, self.served.columns.names)

    def _answer_alike(self, columns: Columns, members: list[tuple[int, Asked]]) -> None:
        try:
            joined = join_columns([asked for _, asked in members], columns)
            self._predict(joined, members)
        except Exception as error:  # noqa: BLE001 - the user's model may raise anything
            if len(members) == 1:
                self._refuse(members[0][0], error)
                return
            for member in members:  # so that only the one to blame is told so
                self._answer_alike(columns, [member])

    def _predict(self, joined: dict[str, pa.Array], members: list[tuple[int, Asked]]) -> None:
        rows = sum(asked.rows for _, asked in members)
        started = time.perf_counter_ns()
        failure: Exception | None = None
        outputs: dict[str, Any] = {name: [] for name in _OUTPUTS[:1]}
        if rows:
            try:
                outputs = self.served.predict(joined, rows)
            except Exception as error:
                if len(members) > 1:
                    raise
                failure, outputs = error, {}
        took = (time.perf_counter_ns() - started) // 1000
        self.compute_us += took
        self.rows += rows
        if failure is None:
            self._reply(outputs, members)
        else:
            self._refuse(members[0][0], failure)
        self._log(joined, outputs, members, took)

    def _reply(self, outputs: dict[str, Any], members: list[tuple[int, Asked]]) -> None:
        values = {
            name: column if isinstance(column, list) else column.tolist() for name, column in outputs.items()
        }
        start = 0
        for place, asked in members:
            end = start + asked.rows
            answers = Answers({name: column[start:end] for name, column in values.items()}, asked.rows)
            start = end
            try:
                self.replies[place] = self._write(self.requests[place], asked, answers)
            except RequestError as error:
                self._refuse(place, error)

    def _write(self, request: Request, asked: Asked, answers: Answers) -> Reply:
        if request.protocol == OPEN_INFERENCE:
            served = self.served
            body, length = open_inference.write_reply(answers, served.model, served.version, asked.outputs)
            return Reply(200, body, length)
        return Reply(200, scoring.write_reply(answers))

    def _refuse(self, place: int, error: Exception) -> None:
        if isinstance(error, SignatureError):
            status, code = _UNPROCESSABLE, "BAD_REQUEST"
        elif isinstance(error, RequestError):
            status, code = _BAD, "BAD_REQUEST"
        else:
            status, code = _FAILED, "INTERNAL_ERROR"
        kind = (
            ""
            if isinstance(error, RequestError | ModelError)
            else f"the model failed: {type(error).__name__}: "
        )
        message = f"{kind}{error}"
        protocol = self.requests[place].protocol
        body = (
            open_inference.write_error(message)
            if protocol == OPEN_INFERENCE
            else scoring.write_error(code, message)
        )
        self.replies[place] = Reply(status, body)

    def _log(
        self,
        joined: dict[str, pa.Array],
        outputs: dict[str, Any],
        members: list[tuple[int, Asked]],
        took: int,
    ) -> None:
        asked_for = [(place, asked.rows) for place, asked in members if asked.rows]
        if not self.served.logs or not joined or not asked_for:
            return
        places, rows = zip(*asked_for, strict=True)
        statuses = [reply.status for place in places if (reply := self.replies[place])]
        requests = [self.requests[place] for place in places]
        self.frames.append(AnsweredFrame(places, requests, rows, statuses, joined, outputs, took))

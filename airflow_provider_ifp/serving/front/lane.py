"""A lane: the requests for one stage, the worker that answers them, and what happens when that one is gone.

Requests are sent as they come while the worker is idle. While it is busy they gather, and go together: the
busier it is, the larger the batches, and one call of the model answers them all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.serving.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.serving.front.workers import Worker
    from airflow_provider_ifp.serving.messages import Answered, Request

log = logging.getLogger(__name__)

_BATCHES_OUT = 2
"""One that the worker answers, and one that it finds when it is done."""

_BATCH_REQUESTS = 64
_BATCH_BYTES = 4 << 20
_TRIES = 2
"""How often a request is sent: one whose worker died twice is to blame for it, most likely."""

UNAVAILABLE, TIMED_OUT, FAILED = 503, 504, 500


@dataclass(slots=True)
class Call:
    """A request on its way.

    Attributes:
        request: As the worker gets it.
        arrived: On the monotonic clock.
        answer: Gets the reply and the version; None where nobody waits for it.
        tries: How often it was sent.
    """

    request: Request
    arrived: float
    answer: asyncio.Future[tuple[Reply, str]] | None
    tries: int = 0


class Lane:
    """The requests for one stage.

    Args:
        limit: Requests that may wait or be under way.
        timeout_seconds: How long each may take.
        answered: Takes what came back, with its calls, and how long each took in microseconds.
        delay: Seconds for which requests gather, where nobody waits for them.
    """

    def __init__(
        self,
        limit: int,
        timeout_seconds: float,
        answered: Callable[[Answered, list[Call], list[int]], None],
        *,
        delay: float = 0.0,
    ) -> None:
        self.worker: Worker | None = None
        self._limit = limit
        self._timeout = timeout_seconds
        self._answered = answered
        self._delay = delay
        self._queue: deque[Call] = deque()
        self._under_way = 0
        self._scheduled = False
        self._alone = False
        self._idle = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Requests that wait or are under way."""
        return len(self._queue) + self._under_way

    def submit(self, call: Call) -> bool:
        """Take a request; False: too many wait already."""
        if self.waiting >= self._limit:
            return False
        self._queue.append(call)
        self._schedule()
        return True

    def put(self, worker: Worker | None) -> None:
        """Let another worker answer from now on; the one before ends when it has answered what it has."""
        old, self.worker = self.worker, worker
        if old is not None:
            old.retire()
        self._schedule()

    async def drained(self) -> None:
        """Wait until all that was taken is answered, if there is somebody to answer it."""
        while self.waiting and self.worker is not None:
            self._idle.clear()
            await self._idle.wait()

    def drop_all(self, reason: str) -> None:
        """Answer all that wait that nobody will answer them."""
        while self._queue:
            _refuse(self._queue.popleft(), UNAVAILABLE, reason)

    def on_answered(self, worker: Worker, answered: Answered) -> None:
        """A batch came back."""
        _, calls = worker.outstanding.pop(answered.batch)
        self._under_way -= len(calls)
        if self._delay and len(self._queue) < _BATCH_REQUESTS:
            self._schedule()
        else:
            self._pump()
        if not self.waiting:
            self._idle.set()
        now = time.monotonic()
        took = [int((now - call.arrived) * 1e6) for call in calls]
        for call, reply in zip(calls, answered.replies, strict=True):
            if call.answer is not None and not call.answer.done():
                call.answer.set_result((reply, worker.found.version))
        self._answered(answered, calls, took)

    def on_lost(self, worker: Worker) -> None:
        """A worker's process ended: what it had is asked again, each request by itself."""
        again: list[Call] = []
        for _, calls in worker.outstanding.values():
            self._under_way -= len(calls)
            again += calls
        worker.outstanding.clear()
        for call in reversed(again):
            if call.tries < _TRIES:
                self._queue.appendleft(call)
            else:
                _refuse(call, FAILED, "the model's process ended twice while it answered this request")
        if self.worker is worker:
            self.worker = None
        self._idle.set()
        self._schedule()

    def sweep(self) -> None:
        """Give up what takes too long; called now and then."""
        latest = time.monotonic() - self._timeout
        while self._queue and self._queue[0].arrived < latest:
            _refuse(self._queue.popleft(), UNAVAILABLE, f"no answer within {self._timeout:g} s; try again")
        worker = self.worker
        if worker is None or not worker.outstanding:
            return
        sent, calls = next(iter(worker.outstanding.values()))
        if sent < latest:
            log.warning(
                "version %s did not answer within %g s; its process is ended",
                worker.found.version,
                self._timeout,
            )
            for call in calls:
                _refuse(call, TIMED_OUT, f"the model did not answer within {self._timeout:g} s")
                call.tries = _TRIES
            worker.kill()

    def _schedule(self) -> None:
        """Send at the end of this turn of the event loop, together with what comes in it."""
        if self._queue and not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            if self._delay:
                loop.call_later(self._delay, self._pump)
            else:
                loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        worker = self.worker
        while worker is not None and self._queue:
            again = self._queue[0].tries > 0
            # A request that a worker died of, maybe, takes no other with it.
            if len(worker.outstanding) >= (1 if again or self._alone else _BATCHES_OUT):
                return
            calls = self._take()
            self._alone = again
            self._under_way += len(calls)
            worker.ask([call.request for call in calls], calls)

    def _take(self) -> list[Call]:
        calls: list[Call] = []
        size = 0
        while self._queue and len(calls) < _BATCH_REQUESTS:
            call = self._queue[0]
            size += len(call.request.body)
            if calls and (size > _BATCH_BYTES or call.tries):
                break
            call.tries += 1
            calls.append(self._queue.popleft())
            if call.tries > 1:
                break
        return calls


def _refuse(call: Call, status: int, reason: str) -> None:
    if call.answer is not None and not call.answer.done():
        call.answer.set_result((Reply(status, reason.encode()), ""))

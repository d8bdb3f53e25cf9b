"""The points at which a process can be killed: around and inside each call to MLflow, or to a database.

Hooks number the calls and pass each point as it comes. A counting run writes the points down; a killed run
ends at the one that was chosen, by SIGKILL, as nothing in Python can prevent or clean up after.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy.event
from sqlalchemy.engine import Engine
from urllib3.connection import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Moment = Literal["before", "torn", "sent", "answered"]
MOMENTS: tuple[Moment, ...] = ("before", "torn", "sent", "answered")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A point in a job.

    Attributes:
        call: Which call of the job, from 1.
        moment: `before` it; `torn`: half of its body was sent; `sent`: it was sent (a statement: executed,
            its transaction open), its answer not read; `answered`: its answer is there.
    """

    call: int
    moment: Moment


class Passage:
    """Counts the calls of this process and ends it at one point.

    Args:
        end: Where to die; None: nowhere.
        trace: File to which each point is added as it is passed; None: not.
    """

    def __init__(self, end: Point | None, trace: Path | None) -> None:
        self._end = end
        self._trace = trace
        self._lock = threading.Lock()
        self._calls = 0

    def next_call(self) -> int:
        """Begin a call; files are uploaded by several threads."""
        with self._lock:
            self._calls += 1
            return self._calls

    def at(self, call: int, moment: Moment, last_act: Callable[[], None] | None = None) -> None:
        """Pass a point, or do the last act and die there."""
        if self._trace is not None:
            with self._lock, self._trace.open("a") as file:
                file.write(f"{call} {moment}\n")
        if self._end == Point(call, moment):
            if last_act is not None:
                last_act()
            os.kill(os.getpid(), signal.SIGKILL)


def read_trace(trace: Path) -> list[Point]:
    """The points that a counting run passed."""
    lines = [line.split() for line in trace.read_text().splitlines()]
    return sorted(Point(int(call), moment) for call, moment in lines)  # type: ignore[arg-type]


def watch_http(passage: Passage) -> None:
    """Pass the points of every HTTP call from now on; for a process of its own, since nothing undoes it."""
    request, send, getresponse = HTTPConnection.request, HTTPConnection.send, HTTPConnection.getresponse

    def watched_request(self: Any, *args: Any, **options: Any) -> None:
        self.ifp_call, self.ifp_sends = passage.next_call(), 0
        passage.at(self.ifp_call, "before")
        request(self, *args, **options)

    def watched_send(self: Any, data: Any) -> None:
        self.ifp_sends += 1
        if self.ifp_sends == 2:  # the headers came first, this is the body
            passage.at(self.ifp_call, "torn", lambda: send(self, data[: len(data) // 2]))
        send(self, data)

    def watched_getresponse(self: Any) -> Any:
        passage.at(self.ifp_call, "sent")
        answer = getresponse(self)
        passage.at(self.ifp_call, "answered")
        return answer

    HTTPConnection.request = watched_request  # type: ignore[method-assign]
    HTTPConnection.send = watched_send  # type: ignore[method-assign]
    HTTPConnection.getresponse = watched_getresponse  # type: ignore[method-assign]


def watch_sql(passage: Passage) -> None:
    """Pass the points of every SQL statement and commit from now on; likewise."""
    call = 0

    def before(*_: Any) -> None:
        nonlocal call
        call = passage.next_call()
        passage.at(call, "before")

    sqlalchemy.event.listen(Engine, "before_cursor_execute", before)
    sqlalchemy.event.listen(Engine, "commit", before)
    sqlalchemy.event.listen(Engine, "after_cursor_execute", lambda *_: passage.at(call, "sent"))

"""The users of the demo's model: they ask a server for one flight at a time, as users of any model do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

import aiohttp
import requests
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

_CONNECTIONS = 64
_PAUSE_SECONDS = 0.02
_WAIT_SECONDS = 60.0
_SOME = 50
_OK = 200


@dataclass(slots=True)
class Asked:
    """What came of some requests.

    Attributes:
        answered: Requests that got an answer, by the version that gave it, in the order of its first one.
        failed: What was wrong with each that got none.
        slowest: Of the longest one, in seconds.
    """

    answered: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.answered.values()) + len(self.failed)


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its id, its time, and its body."""

    id: str
    time: str
    body: bytes


class Client:
    """Asks `ifp serve` by MLflow's protocol.

    Args:
        url: The server's.
        features: Columns that the model wants.
    """

    def __init__(self, url: str, features: Sequence[str]) -> None:
        self._server, self._url = url, f"{url}/invocations"
        self._features = list(features)

    def version(self) -> str | None:
        """Which version answers; None: none does yet.

        Raises:
            requests.RequestException: the server does not answer.
        """
        version: str | None = requests.get(f"{self._server}/version", timeout=5).json()["version"]
        return version

    def ask(self, rows: pa.Table) -> Asked:
        """Ask for each flight at its own time, sixty-four at once.

        Args:
            rows: Flights with `request_id`, `ts` and the features.
        """
        asked = Asked()
        uvloop.run(self._ask_all(self._requests(rows), asked))
        return asked

    def keep_asking(self, rows: pa.Table, at: datetime) -> Asking:
        """Ask for these flights one after the other and over again, as of one time, from now on.

        Args:
            rows: As of `ask`.
            at: The time that the requests have.
        """
        again = (
            Request(f"{request.id}-again-{number}", at.isoformat(), request.body)
            for number, request in enumerate(cycle(list(self._requests(rows))))
        )
        return Asking(self, again)

    async def ask_one(self, session: aiohttp.ClientSession, request: Request, asked: Asked) -> None:
        """Ask, and note what came of it."""
        headers = {
            "content-type": "application/json",
            "x-request-id": request.id,
            "x-request-time": request.time,
        }
        began = time.perf_counter()
        try:
            async with session.post(self._url, data=request.body, headers=headers) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            asked.failed.append(f"{type(error).__name__}: {error}")
            return
        asked.slowest = max(asked.slowest, time.perf_counter() - began)
        if answer.status == _OK:
            version = answer.headers["x-model-version"]
            asked.answered[version] = asked.answered.get(version, 0) + 1
        else:
            asked.failed.append(f"{answer.status}: {text}")

    async def _ask_all(self, requests: Iterator[Request], asked: Asked) -> None:
        async with aiohttp.ClientSession() as session:

            async def one_after_the_other() -> None:
                for request in requests:
                    await self.ask_one(session, request, asked)

            await asyncio.gather(*(one_after_the_other() for _ in range(_CONNECTIONS)))

    def _requests(self, rows: pa.Table) -> Iterator[Request]:
        columns: dict[str, list[Any]] = rows.select(["request_id", "ts", *self._features]).to_pydict()
        ids, times = columns.pop("request_id"), columns.pop("ts")
        for name, moment, *values in zip(ids, times, *columns.values(), strict=True):
            record = dict(zip(self._features, values, strict=True))
            yield Request(name, moment.isoformat(), json.dumps({"dataframe_records": [record]}).encode())


class Asking:
    """Users who keep asking, some forty times a second, while something else happens.

    Args:
        client: Asks.
        requests: Without an end.
    """

    def __init__(self, client: Client, requests: Iterator[Request]) -> None:
        self._client, self._requests = client, requests
        self._asked = Asked()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._ask()), daemon=True)
        self._thread.start()

    def until_answered_by(self, version: str) -> Asked:
        """Go on until a version has answered some, a minute at most, and stop."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._asked.answered.get(version, 0) < _SOME and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        return self.stop()

    def stop(self) -> Asked:
        """Ask no more."""
        self._enough.set()
        self._thread.join()
        return self._asked

    async def _ask(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self._enough.is_set():
                await self._client.ask_one(session, next(self._requests), self._asked)
                await asyncio.sleep(_PAUSE_SECONDS)

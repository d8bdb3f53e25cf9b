"""A client that loads an HTTP server on loopback, as a process of its own.

    python benchmarks/http_load.py closed URL BODY_FILE SECONDS CONNECTIONS
    python benchmarks/http_load.py open URL BODY_FILE REQUESTS A_SECOND

Closed: each connection sends its next request when the last was answered; for throughput. Open: a request is
sent when its time has come, whatever the server does, and its latency counts from that time (a stall is not
hidden). Prints JSON: `requests`, `failed` (not 200, or no answer), `seconds`, `latencies` (ms, in order of
sending, None where it failed), `versions` (x-model-version of each).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_OK = 200
_WAIT_SECONDS = 60.0


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._pending = b""
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    def connection_made(self, transport: Any) -> None:
        """It is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """An answer is whole when its body has the length that its header says."""
        self._pending += data
        head, found, body = self._pending.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        if len(body) < int(headers[b"content-length"]):
            return
        self._pending = b""
        self._finish(int(lines[0].split()[1]), headers.get(b"x-model-version", b"").decode())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """It is gone, and with it what was under way."""
        self._transport = None
        self._finish(0, "")

    @property
    def alive(self) -> bool:
        """Whether it can be used again."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, str]]:
        """Send a request; the answer is status (0: the connection broke) and version."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def _finish(self, status: int, version: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, version))


class Load:
    """Sends one request again and again, and keeps what came of each."""

    def __init__(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._request = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.latencies: list[float | None] = []
        self.versions: list[str] = []
        self.seconds = 0.0

    async def closed(self, seconds: float, connections: int) -> None:
        """Throughput: as fast as the server answers."""
        started = time.perf_counter()
        await asyncio.gather(*(self._one_after_the_other(started + seconds) for _ in range(connections)))
        self.seconds = time.perf_counter() - started

    async def open(self, requests: int, a_second: float) -> None:
        """Latency: a request each 1 / `a_second` seconds, whatever comes back."""
        self.latencies = [None] * requests
        self.versions = [""] * requests
        idle: deque[Connection] = deque([await self._connect() for _ in range(32)])
        started = time.perf_counter() + 0.1
        tasks = []
        for number in range(requests):
            due = started + number / a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._once(number, due, idle)))
        await asyncio.wait(tasks, timeout=_WAIT_SECONDS)
        self.seconds = time.perf_counter() - started

    async def _one_after_the_other(self, until: float) -> None:
        connection = await self._connect()
        while (began := time.perf_counter()) < until:
            status, version = await connection.ask(self._request)
            self.latencies.append((time.perf_counter() - began) * 1000 if status == _OK else None)
            self.versions.append(version)
            if not connection.alive:
                connection = await self._connect()

    async def _once(self, number: int, due: float, idle: deque[Connection]) -> None:
        connection = idle.popleft() if idle else await self._connect()
        if not connection.alive:
            connection = await self._connect()
        status, self.versions[number] = await connection.ask(self._request)
        if status == _OK:
            self.latencies[number] = (time.perf_counter() - due) * 1000
        idle.append(connection)

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return connection


def main(kind: str, url: str, body: str, first: str, second: str) -> None:
    """Print what came of it."""
    import uvloop

    load = Load(url, Path(body).read_bytes())
    work = (
        load.closed(float(first), int(second)) if kind == "closed" else load.open(int(first), float(second))
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
    answered = [latency for latency in load.latencies if latency is not None]
    found = {
        "requests": len(load.latencies),
        "failed": len(load.latencies) - len(answered),
        "seconds": load.seconds,
        "latencies": load.latencies,
        "versions": load.versions,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

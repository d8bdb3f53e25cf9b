"""`ifp serve`: starts the processes, listens, and stops them in order."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from airflow_provider_ifp.core.errors import PredictionLogError, ServiceError, VersionNotFoundError
from airflow_provider_ifp.serving.cache import VersionCache
from airflow_provider_ifp.serving.front.app import build_app
from airflow_provider_ifp.serving.front.channel import Channel, start_process
from airflow_provider_ifp.serving.front.log_link import LogLink
from airflow_provider_ifp.serving.front.state import PRODUCTION, SHADOW, State
from airflow_provider_ifp.serving.front.workers import Spare

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from airflow_provider_ifp.core.errors import IfpError
    from airflow_provider_ifp.serving.front.options import ServeOptions

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.5
_KEEP_ALIVE_SECONDS = 75  # uvicorn's 5 race with clients that keep connections for longer
_BACKLOG = 2048


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C; what is under way then is answered, and the log is flushed.

    Raises:
        PredictionLogError: the log's root is none, or its spool cannot be written.
        ServiceError: the port is taken.
        VersionNotFoundError: the registry has no such model.
        ModelError: the cache's folder is open to others.
    """
    import uvloop

    address = _registry_address(options.tracking_uri)
    cache = VersionCache(options.cache, address, options.model)
    with (
        _listening(options.host, options.port) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_Server(options, address, cache).run(listener))


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are ours."""
        yield


class _Server:
    def __init__(self, options: ServeOptions, address: str, cache: VersionCache) -> None:
        self._options = options
        self._address = address
        self._spare = Spare(options.threads)
        stages = (PRODUCTION, SHADOW) if options.mirror else (PRODUCTION,)
        self._stages = stages
        spool = options.cache / "spool"
        self._log = (
            LogLink(
                *(options.log, options.model, spool, stages),
                roll_seconds=options.roll_seconds,
                fail=lambda reason: self._fail(PredictionLogError(reason)),
            )
            if options.log
            else None
        )
        self._state = State(
            options, self._spare, cache, self._log, lambda reason: self._fail(VersionNotFoundError(reason))
        )
        config = uvicorn.Config(
            build_app(self._state),
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(options.timeout_seconds) + 1,
            server_header=False,
        )
        self._uvicorn = _Uvicorn(config)
        self._failure: IfpError | None = None
        self._follower: subprocess.Popen[bytes] | None = None
        self._follower_channel: Channel | None = None
        self._stopping = False

    async def run(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        if self._log is not None:
            await self._log.start()
        self._spare.start()
        await self._start_follower()
        host, port = listener.getsockname()[:2]
        log.info("%s at http://%s:%d", self._options.model, f"[{host}]" if ":" in host else host, port)
        tasks = [asyncio.create_task(seat.keep()) for seat in self._state.seats]
        tasks.append(asyncio.create_task(self._sweep()))
        try:
            await self._uvicorn.serve(sockets=[listener])
        finally:
            self._stopping = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()
        if self._failure is not None:
            raise self._failure

    async def _close(self) -> None:
        if self._follower_channel is not None:
            self._follower_channel.close()
        if self._state.shadow is not None:
            # The shadow's answers count, too: they are half of a pair.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._state.shadow.lane.drained(), self._options.timeout_seconds)
        if self._log is not None:
            await self._log.close()
        for seat in self._state.seats:
            seat.close()
        self._spare.stop()
        if self._follower is not None:
            self._follower.kill()
            self._follower.wait()

    async def _start_follower(self) -> None:
        options = self._options
        settings = {
            "model": options.model,
            "stages": self._stages,
            "cache": str(options.cache),
            "address": self._address,
            "tracking_uri": options.tracking_uri,
            "poll_seconds": options.poll_seconds,
        }
        self._follower, end = start_process("follower", json.dumps(settings))
        self._follower_channel = await Channel.open(end, self._state.on_follower, self._on_follower_lost)

    def _on_follower_lost(self) -> None:
        self._follower_channel = None
        if not self._stopping and not self._uvicorn.should_exit:
            log.error("the follower's process is gone; another is started")
            loop = asyncio.get_running_loop()
            loop.call_later(self._options.poll_seconds, self._restart_follower)

    def _restart_follower(self) -> None:
        if self._follower is not None:
            self._follower.poll()
        self._restarting = asyncio.create_task(self._start_follower())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._state.sweep()

    def _fail(self, failure: IfpError) -> None:
        self._failure = failure
        self._uvicorn.should_exit = True

    def _stop(self) -> None:
        if self._uvicorn.should_exit:
            self._uvicorn.force_exit = True
        self._uvicorn.should_exit = True


def _registry_address(tracking_uri: str | None) -> str:
    """The registry's address without credentials, which names its part of the cache."""
    said = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"default of {Path.cwd()}"
    scheme, there, rest = said.partition("://")
    return f"{scheme}{there}{rest.rpartition('@')[2] if '@' in rest.partition('/')[0] else rest}"


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(kind[4][:2], family=kind[0], backlog=_BACKLOG)
    except OSError as error:
        raise ServiceError(
            f"cannot listen at {host}:{port}: {error.strerror or error}; choose another --port"
        ) from None
    with listener:
        yield listener

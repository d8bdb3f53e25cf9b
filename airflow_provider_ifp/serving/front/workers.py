"""The front's side of the spare and of the workers that are forked from it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.launch.user_environment import user_environment
from airflow_provider_ifp.core.errors import DigestMismatchError, ModelError
from airflow_provider_ifp.serving.front.channel import Channel, start_process
from airflow_provider_ifp.serving.messages import Answered, Ask, Hello, Open, Opened, Refused

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from airflow_provider_ifp.serving.messages import Found, Request

log = logging.getLogger(__name__)

_OPEN_SECONDS = 600.0
_TOKEN = "IFP_SERVE_TOKEN"  # noqa: S105 - the variable's name

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Spare:
    """Starts the spare, and asks it for workers.

    Args:
        threads: Of each worker, for one call of the model. On small batches more than one mostly wait for
            each other, and burn a core while they do.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = {name: str(threads) for name in _THREADS}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, in an environment without the registry's credentials; its imports take seconds."""
        environment = {**user_environment(os.environ, seed=0), **self._threads}
        environment.pop(_TOKEN, None)
        self._process, self._control = start_process("worker.spare", environment=environment)
        self._ready = asyncio.create_task(self._wait_until_ready(self._control))

    async def fork(self) -> socket.socket:
        """A new worker; returns our end of its socket.

        Raises:
            ModelError: the spare does not start.
        """
        for _ in range(3):
            if self._process is None or self._process.poll() is not None:
                self.stop()
                self.start()
            try:
                if self._ready is not None:
                    await asyncio.shield(self._ready)
                return self._fork()
            except OSError as error:
                log.warning("the spare interpreter is gone (%s); another one is started", error)
                self.stop()
        raise ModelError("the spare interpreter does not start; its output says why")

    def stop(self) -> None:
        """End it; what was forked from it ends with it."""
        if self._ready is not None:
            self._ready.cancel()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._control = self._ready = None

    def _fork(self) -> socket.socket:
        if self._control is None:
            raise ConnectionResetError("stopped")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"f"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    async def _wait_until_ready(self, control: socket.socket) -> None:
        if not await asyncio.get_running_loop().sock_recv(control, 1):
            raise ConnectionResetError("it ended before its imports were done")


class Worker:
    """A version's process, as the front sees it.

    Args:
        found: The version.
        answered: Takes what it answers, with this worker.
        lost: Called when its process ended, unless we closed it.
    """

    def __init__(
        self, found: Found, answered: Callable[[Worker, Answered], None], lost: Callable[[Worker], None]
    ) -> None:
        self.found = found
        self.pid = 0
        self.opened: Opened | None = None
        self.outstanding: dict[int, tuple[float, list[Any]]] = {}
        self._answered = answered
        self._lost = lost
        self._batches = 0
        self._channel: Channel | None = None
        self._opening: asyncio.Future[Opened | Refused] = asyncio.get_running_loop().create_future()
        self._retired = False

    async def open(self, spare: Spare, model: str, *, logs: bool, yields: bool) -> None:
        """Fork a process, and have it open the version and warm it up.

        Raises:
            DigestMismatchError: its files are not those that were registered.
            ModelError: it cannot; the message says why.
        """
        self._channel = await Channel.open(await spare.fork(), self._receive, self._on_lost)
        found = self.found
        opening = Open(model, found.version, found.folder, found.files_digest, found.profile, logs, yields)
        self._channel.send(opening)
        try:
            answer = await asyncio.wait_for(asyncio.shield(self._opening), _OPEN_SECONDS)
        except TimeoutError:
            self.kill()
            raise ModelError(f"it was not open after {_OPEN_SECONDS:.0f} s") from None
        if isinstance(answer, Refused):
            self.close()
            raise (DigestMismatchError if answer.damaged else ModelError)(answer.reason)
        self.opened = answer

    def ask(self, requests: list[Request], calls: list[Any]) -> None:
        """Send a batch; `calls` come back in `outstanding` until it is answered."""
        self._batches += 1
        self.outstanding[self._batches] = (time.monotonic(), calls)
        if self._channel is not None:
            self._channel.send(Ask(self._batches, requests))

    def retire(self) -> None:
        """End it as soon as it has answered what it was asked."""
        self._retired = True
        if not self.outstanding:
            self.close()

    def close(self) -> None:
        """Close its socket, at which it ends."""
        if self._channel is not None:
            self._channel.close()

    def kill(self) -> None:
        """End it at once: it hangs. Its end is noticed like any other."""
        # Its socket is still open, so it lives, and the spare has not reaped it: the id is its own.
        if self._channel is not None and self.pid:
            os.kill(self.pid, 9)

    def _receive(self, message: Any) -> None:
        if isinstance(message, Answered):
            self._answered(self, message)
            if self._retired and not self.outstanding:
                self.close()
        elif isinstance(message, Hello):
            self.pid = message.pid
        elif not self._opening.done():
            self._opening.set_result(message)

    def _on_lost(self) -> None:
        self._channel = None
        if not self._opening.done():
            self._opening.set_result(Refused("its process ended while it was opened"))
        self._lost(self)

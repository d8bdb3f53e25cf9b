"""Servers that run beside this process: started in sessions of their own, waited for, and ended with it.

Not only for the demo: tests start a real MLflow and a real Airflow by it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests

from airflow_provider_ifp.core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_LOOK_SECONDS = 0.2
_SHOWN_LINES = 15


@dataclass(frozen=True, slots=True)
class Service:
    """A server's process, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self) -> str:
        """The end of its output, for an error's message."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])


@dataclass(slots=True)
class Services:
    """The servers that were started, in order."""

    logs: Path
    _keeper: subprocess.Popen[bytes]
    started: list[Service] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Service:
        """Start a server; its output goes to `<logs>/<name>.log`.

        Args:
            name: What it is called in messages.
            command: The arguments that follow `python`.
            environment: Its whole environment.
        """
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._keeper.stdin is not None:
            self._keeper.stdin.write(f"{process.pid}\n".encode())
            self._keeper.stdin.flush()
        service = Service(name, process, log)
        self.started.append(service)
        return service

    def wait_until(self, ready: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Look again and again until it is so.

        Args:
            ready: Answers whether it is so; a connection that is refused means: not yet.
            what: What is being waited for, for the message.
            seconds: How long at most.

        Raises:
            ServiceError: it did not become so in time, or a server ended meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not _answers(ready):
            self.require_alive()
            if time.monotonic() > deadline:
                raise ServiceError(f"waited {seconds:.0f} s for {what}; look into the logs in {self.logs}")
            time.sleep(_LOOK_SECONDS)

    def require_alive(self) -> None:
        """Make sure that every server still runs.

        Raises:
            ServiceError: one ended; the message has the end of its output.
        """
        for service in self.started:
            code = service.process.poll()
            if code is not None:
                raise ServiceError(
                    f"{service.name} ended by itself with exit code {code}; the end of {service.log}:\n"
                    f"{service.last_lines()}"
                )


@contextmanager
def running_services(logs: Path) -> Iterator[Services]:
    """Hold servers for as long as the block runs; afterwards they and all that they started are ended.

    Args:
        logs: Folder for their output; made if need be.
    """
    logs.mkdir(parents=True, exist_ok=True)
    keeper = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_ifp.demo.keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    services = Services(logs, keeper)
    try:
        yield services
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait()
        for service in services.started:
            service.process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def own_environment(**more: str) -> dict[str, str]:
    """This process's environment without what it says about another Airflow or MLflow, and with `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "MLFLOW"))}
    return {**kept, **more}


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except requests.RequestException:
        return False

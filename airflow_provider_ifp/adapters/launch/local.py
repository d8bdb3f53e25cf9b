"""Run user code as a process of its own, without our credentials, and end its whole tree when told to."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

import psutil

from airflow_provider_ifp.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

_GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL: Airflow kills the task itself 5 s after it asked it to stop."""

_SECRETS = (
    "AIRFLOW_CONN_",  # the registry's connection may be one of them
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
)
"""Beginnings of the names of variables that user code does not get."""

_LOOK_SECONDS = 0.5
_STEP_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1


class Launcher(Protocol):
    """Where a trainer runs."""

    def run(
        self,
        spec: Path,
        *,
        seed: int,
        timeout: timedelta | None,
        on_line: Callable[[str], None],
        on_pause: Callable[[], None],
    ) -> int:
        """Run the trainer to its end; returns its exit code."""

    def kill(self) -> None:
        """End the trainer and all that it started."""


class LocalLauncher:
    """The trainer as a child of this process, in a session of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        spec: Path,
        *,
        seed: int,
        timeout: timedelta | None = None,
        on_line: Callable[[str], None],
        on_pause: Callable[[], None],
    ) -> int:
        """Run the trainer to its end.

        Args:
            spec: The spec's file.
            seed: Fixes Python's hash seed, which only the environment of a new process can.
            timeout: After this the trainer is killed.
            on_line: Gets each line that the trainer prints.
            on_pause: Called about twice a second, to forward metrics.

        Returns:
            The exit code; negative: the signal that ended it.

        Raises:
            TrainingError: it took longer than `timeout`.
        """
        command = [sys.executable, "-m", "airflow_provider_ifp.training.trainer", str(spec)]
        deadline = time.monotonic() + timeout.total_seconds() if timeout else None
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=user_environment(os.environ, seed) | {"PYTHONPATH": _python_path(os.environ)},
            start_new_session=True,
        )
        try:
            self._follow(on_line, on_pause, deadline)
            return self._end(on_pause, deadline)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the trainer and all that it started: SIGTERM, then SIGKILL after two seconds."""
        process = self._process
        if process is not None:
            end_trees(process.pid)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _follow(
        self, on_line: Callable[[str], None], on_pause: Callable[[], None], deadline: float | None
    ) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        pipe, rest, pause = process.stdout.fileno(), b"", 0.0
        os.set_blocking(pipe, False)
        last_read: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if last_read is None and process.poll() is not None:
                    # What it printed last is still to be read; but a grandchild may hold the pipe, and go on.
                    last_read = time.monotonic() + _LOOK_SECONDS
                chunk = os.read(pipe, 65536) if selector.select(_LOOK_SECONDS) else None
                if chunk:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        on_line(line.decode(errors="replace"))
                now = time.monotonic()
                if now >= pause:
                    pause = now + _LOOK_SECONDS
                    on_pause()
                if chunk == b"" or (last_read is not None and (chunk is None or now >= last_read)):
                    break
                _require_time(deadline)
        if rest:
            on_line(rest.decode(errors="replace"))

    def _end(self, on_pause: Callable[[], None], deadline: float | None) -> int:
        """Wait for a trainer that prints nothing any more: mostly it ends now, but it may have more to do."""
        if self._process is None:
            raise TrainingError("no trainer was started")
        while True:
            try:
                return self._process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                on_pause()
                _require_time(deadline)


def _require_time(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise TrainingError("training took longer than train.timeout allows, and was killed")


def user_environment(environment: Mapping[str, str], seed: int) -> dict[str, str]:
    """This process's environment without the registry's credentials, with what makes training repeatable."""
    kept = {key: value for key, value in environment.items() if not key.startswith(_SECRETS)}
    return {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        **kept,
        "PYTHONHASHSEED": str(seed % 2**32),
        "PYTHONUNBUFFERED": "1",
    }


def _python_path(environment: Mapping[str, str]) -> str:
    """Where this process finds modules: Airflow adds the Dags' folder to a task's path, and to no child's."""
    return os.pathsep.join(path for path in (environment.get("PYTHONPATH"), *sys.path) if path)


def end_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the launcher's kill must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_trees(*leaders: int) -> None:
    """End processes that lead sessions of their own, and every process that descends from them.

    SIGTERM to all, and after two seconds SIGKILL to those that still live.
    """
    members = [process for leader in leaders for process in _tree(leader)]
    _signal(members, signal.SIGTERM)
    alive = _outlive(members)
    # Asked again: a process may have started another one meanwhile.
    late = [process for leader in leaders for process in _tree(leader)]
    alive += [process for process in late if process not in alive]
    _signal(alive, signal.SIGKILL)
    _outlive(alive)


def _outlive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that still live when the grace is over.

    psutil's own wait would reap our child, and its exit code would be lost to whoever started it.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    while alive := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_STEP_SECONDS)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        members = []
    return members + [process for process in _session(pid) if process not in members]


def _session(leader: int) -> list[psutil.Process]:
    """What still lives of the session, orphans included: their parent is gone, their session is not."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return found


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue

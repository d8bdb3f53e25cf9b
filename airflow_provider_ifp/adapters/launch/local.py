"""Run user code as a child of this process, and end its whole tree when told to."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.launch.process_tree import end_trees
from airflow_provider_ifp.adapters.launch.user_environment import user_environment
from airflow_provider_ifp.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

_LOOK_SECONDS = 0.5


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


def _python_path(environment: Mapping[str, str]) -> str:
    """Where this process finds modules: Airflow adds the Dags' folder to a task's path, and to no child's."""
    return os.pathsep.join(path for path in (environment.get("PYTHONPATH"), *sys.path) if path)

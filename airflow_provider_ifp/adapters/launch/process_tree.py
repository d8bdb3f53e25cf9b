"""End processes with all that they started, and with whoever started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

_GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL: Airflow kills the task itself 5 s after it asked it to stop."""

_STEP_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1


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

"""An MLflow database in a file, used without a server by any number of processes.

MLflow makes the tables when a process first opens the database, and two processes that do so at once crash
each other; so opening it takes a lock beside it. The files of models and runs go beside it too: MLflow alone
would put them into `mlruns` of whatever folder the process runs in.
"""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = "sqlite:///"


def database_file(address: str) -> Path | None:
    """The file of a `sqlite:///` address, absolute; None for other addresses, and for one in memory.

    >>> database_file("sqlite:////var/lib/mlflow/mlflow.db?timeout=20")
    PosixPath('/var/lib/mlflow/mlflow.db')
    >>> database_file("http://mlflow:5000")
    """
    path = address.removeprefix(_SCHEME).partition("?")[0]
    if not address.startswith(_SCHEME) or path in {"", ":memory:"}:
        return None
    return Path(path).absolute()


def artifact_root(address: str) -> str | None:
    """Where a new experiment's files go: `mlruns` beside the database; None: MLflow decides."""
    file = database_file(address)
    return None if file is None else str(file.parent / "mlruns")


@contextmanager
def opening(address: str) -> Iterator[None]:
    """Let one process at a time open the database; one that was made meanwhile gets a write-ahead log.

    With it, readers and a writer do not wait for each other. A database that was there before is left as it
    is.
    """
    file = database_file(address)
    if file is None:
        yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f"{file.name}.lock").open("ab")
    except OSError:
        # A folder that may only be read holds a finished database, or none that could be made.
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = not file.exists()
        yield
        if fresh and file.exists():
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")

"""Processes to kill: one fork server imports everything once, and each job is a fork of it.

A fork costs milliseconds where a new interpreter costs seconds. The fork server has no threads and no
connections, so a child begins with none.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fault.jobs import Acknowledgements, perform
from tests.fault.points import Passage, watch_http, watch_sql

from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import IfpError, PromotionRefusedError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from tests.fault.jobs import Job
    from tests.fault.points import Point

KILLS = int(os.environ.get("IFP_FUZZ_KILLS", "6"))
"""How many processes a test kills; `make fuzz` asks for more than `make test`."""

CLIENT = {
    # Enough patience to outlive a restart of the server in the midst of a job: so POSTs are repeated too.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "true",
}


class Ended(IntEnum):
    """How a job's process ended, as its exit code."""

    DONE = 0
    BROKEN = 1  # an exception that is none of ours: a bug
    REFUSED = 3
    FAILED = 4
    KILLED = -9


@dataclass(frozen=True, slots=True)
class Place:
    """An MLflow under attack.

    Attributes:
        name: For the table.
        uri: Its tracking URI.
        folder: For acknowledgements and logs; what is embedded keeps its artifacts there.
    """

    name: str
    uri: str
    folder: Path

    @property
    def done(self) -> Acknowledgements:
        """What was acknowledged here."""
        return Acknowledgements(self.folder / "acknowledged")

    @property
    def log(self) -> Path:
        """What the jobs' processes said."""
        return self.folder / "jobs.log"

    @property
    def embedded(self) -> bool:
        """Whether there is no server, only a database."""
        return not self.uri.startswith("http")

    def registry(self) -> MlflowRegistry:
        """A client that remembers nothing."""
        return MlflowRegistry(self.uri)


def start(place: Place, job: Job, end: Point | None = None, trace: Path | None = None) -> BaseProcess:
    """Begin a job in a process of its own, which dies at `end`."""
    fork_server = multiprocessing.get_context("forkserver")
    fork_server.set_forkserver_preload(["tests.fault.preload"])
    process = fork_server.Process(target=_run, args=(place, job, end, trace), daemon=True)
    process.start()
    return process


def ended(place: Place, process: BaseProcess, seconds: float = 180.0) -> Ended:
    """Wait for a job's process; a bug in it fails the test here, with its traceback."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"a job did not end within {seconds:.0f} s; see {place.log}")
    outcome = Ended(process.exitcode)
    process.close()
    assert outcome != Ended.BROKEN, place.log.read_text()[-3000:]
    return outcome


def _run(place: Place, job: Job, end: Point | None, trace: Path | None) -> None:
    """The child's life."""
    os.environ.update(CLIENT)
    os.chdir(place.folder)
    # What a killed process cannot remove goes with the tests' folder.
    tempfile.tempdir = str(place.folder / "scratch")
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    log = os.open(place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    passage = Passage(end, trace)
    (watch_sql if place.embedded else watch_http)(passage)
    try:
        perform(place.registry(), job, place.done)
    except IfpError as error:
        sys.stderr.write(f"{job.nonce}: {error}\n")
        sys.exit(Ended.REFUSED if isinstance(error, PromotionRefusedError) else Ended.FAILED)
    except Exception:  # noqa: BLE001 - whatever it is, it is a bug, and the test that waits here tells it
        sys.stderr.write(f"{job.nonce}: {traceback.format_exc()}\n")
        sys.exit(Ended.BROKEN)

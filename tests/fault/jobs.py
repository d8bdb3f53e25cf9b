"""What a writer does in these tests: jobs whose every step is acknowledged on disk once it is done.

A job is frozen: run again, it makes the same attempts with the same nonces. Its process may die at any point.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from airflow_provider_ifp.adapters.registry.ledger import read_ledger, record
from airflow_provider_ifp.core.registry.lifecycle import Ledger
from airflow_provider_ifp.core.registry.moves import (
    Attempt,
    Promotion,
    Unchecked,
    plan_judgement,
    plan_promotion,
    plan_rollback,
)
from airflow_provider_ifp.loop.registry.move import promote, roll_back
from airflow_provider_ifp.training.registration import Registration, register

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.core.registry.lifecycle import Event, Stage

FILES = 3
FILE_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to do to a model.

    Attributes:
        kind: `register` stores files and makes a version; `promote` records a judgement and moves the version
            through `targets`; `roll_back` puts `version` back, or the last good one.
        model: The registered model.
        nonce: Names the job; each of its steps has a nonce that begins with it.
        version: The version to move; for `roll_back` None is the last good one.
        targets: The stages to go through.
        by: Who promotes: the loop is held to what it was judged against, a person is not.
        content: What is in the files to register.
    """

    kind: Literal["register", "promote", "roll_back"]
    model: str
    nonce: str
    version: str | None = None
    targets: tuple[Stage, ...] = ("staging", "production")
    by: Literal["loop", "person"] = "loop"
    content: str = ""

    @property
    def steps(self) -> tuple[str, ...]:
        """The nonces under which its steps are acknowledged, in order."""
        if self.kind == "promote":
            return tuple(f"{self.nonce}.{step}" for step in ("judge", *self.targets))
        return (self.nonce,)

    def attempt(self, step: str, reason: str) -> Attempt:
        """The same at every try, its time included."""
        return Attempt(
            actor=f"a {self.by}", time="2026-01-02T03:04:05+00:00", nonce=step, by=self.by, reason=reason
        )


class Acknowledgements:
    """A file of what was done: a line `step answer` each, on disk before `note` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, step: str, answer: str) -> None:
        """Add a line; whole even when several processes write at once."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{step} {answer}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> dict[str, set[str]]:
        """Step -> the answers that were given; more than one is a fault."""
        answers: dict[str, set[str]] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            step, _, answer = line.partition(" ")
            answers.setdefault(step, set()).add(answer)
        return answers


def perform(registry: Registry, job: Job, done: Acknowledgements) -> None:
    """Do the job to its end.

    Raises:
        PromotionRefusedError: the lifecycle's rules do not allow it (any more).
        IfpError: something failed; nothing of the step under way was acknowledged.
    """
    if job.kind == "register":
        done.note(job.nonce, _register(registry, job))
    elif job.kind == "roll_back":
        answer = roll_back(
            registry, job.model, attempt=job.attempt(job.nonce, "worse"), to_version=job.version
        )
        done.note(job.nonce, str(answer["event"]))
    else:
        _judge_and_promote(registry, job, done)


def replay(job: Job, event: Event, before: Ledger) -> Event:
    """The event that the rules give when this job decides on the ledger as it was before `event`.

    Raises:
        PromotionRefusedError: the rules did not allow it.
    """
    attempt = job.attempt(event.nonce, event.reason)
    if event.action == "judge":
        return _judgement(before, job, attempt)
    if event.action == "roll_back":
        return plan_rollback(before, attempt, job.version, event.files_digest)
    against = event.reason.removeprefix("judged against ")
    change = Promotion(
        version=str(job.version),
        target=event.target or "staging",
        expected=_expected(job, None if against == "None" else against),
        files_digest=event.files_digest,
    )
    return plan_promotion(before, attempt, change)


def write_model(folder: Path, content: str) -> None:
    """A model folder of several files, each larger than what goes through a socket at once."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(f"flavors: {{}}\nrun_id: {folder.name}\n")
    for number in range(FILES):
        whole = f"{content} {number} ".encode() * (FILE_BYTES // len(content))
        (folder / "data" / f"weights-{number}.bin").write_bytes(whole)


def _register(registry: Registry, job: Job) -> str:
    with tempfile.TemporaryDirectory(prefix="ifp-fault-") as scratch:
        folder = Path(scratch, "model")
        write_model(folder, job.content)
        run_id = registry.start_run(job.model, name=job.nonce, tags={})
        made = register(
            registry,
            Registration(model=job.model, run_id=run_id, folder=folder, provenance={}, nonce=job.nonce),
        )
        registry.finish_run(run_id, "FINISHED")
    return made.version


def _judge_and_promote(registry: Registry, job: Job, done: Acknowledgements) -> None:
    judge, *moves = job.steps
    judging = job.attempt(judge, "rmse 0.5 <= 0.8 = maximum")
    judged = record(registry, job.model, lambda ledger: _judgement(ledger, job, judging))
    done.note(judge, str(judged.number))
    events = read_ledger(registry, job.model).events
    against = Ledger(job.model, events[: judged.number - 1]).production
    for step, target in zip(moves, job.targets, strict=True):
        answer = promote(
            registry,
            job.model,
            str(job.version),
            target,
            attempt=job.attempt(step, f"judged against {against}"),
            expected=_expected(job, against),
        )
        done.note(step, str(answer["event"]))


def _judgement(ledger: Ledger, job: Job, attempt: Attempt) -> Event:
    return plan_judgement(
        ledger,
        attempt,
        version=str(job.version),
        verdict="pass",
        promotes=True,
        verdict_digest=f"sha256:{job.nonce}",
    )


def _expected(job: Job, against: str | None) -> str | Unchecked | None:
    return against if job.by == "loop" else Unchecked()

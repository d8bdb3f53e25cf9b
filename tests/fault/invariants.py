"""What must hold of a model whatever was killed: looked at by a client that remembers nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tests.fault.jobs import replay

from airflow_provider_ifp.adapters.registry.ledger import project, read_ledger
from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.core.registry.lifecycle import STAGES, Ledger
from airflow_provider_ifp.training.loading import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.fault.jobs import Job
    from tests.fault.killing import Place

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry


@dataclass(slots=True)
class Figures:
    """What was done and what was found; the table's columns.

    Attributes:
        jobs: Job processes that were started.
        before: Killed before a call.
        inside: Killed inside a call: half of it sent, or no answer read.
        after: Killed right after an answer.
        random: Killed at a random time.
        server_kills: Kills of the whole server.
        acknowledged: Steps whose call had returned.
        events: Events in the ledgers.
        versions: Versions in the registry.
        lost: Acknowledged and not there.
        doubled: Two events of one attempt.
        repeated: Versions that MLflow's client made by repeating a request; they count for nothing.
        stale: Aliases that did not say what the ledger says, before the repair.
        wrong: The same after one repair.
        damaged: Versions whose files are not whole.
    """

    jobs: int = 0
    before: int = 0
    inside: int = 0
    after: int = 0
    random: int = 0
    server_kills: int = 0
    acknowledged: int = 0
    events: int = 0
    versions: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    stale: int = 0
    wrong: int = 0
    damaged: int = 0

    @property
    def kills(self) -> int:
        """Job processes that were killed."""
        return self.before + self.inside + self.after + self.random

    @property
    def faults(self) -> dict[str, int]:
        """What must not be; empty when all is well."""
        found = {name: getattr(self, name) for name in ("lost", "doubled", "wrong", "damaged")}
        return {name: figure for name, figure in found.items() if figure}

    def count(self, moment: str) -> None:
        """Count a kill at a moment of a call."""
        column = {"before": "before", "torn": "inside", "sent": "inside", "answered": "after"}[moment]
        setattr(self, column, getattr(self, column) + 1)

    def add(self, found: Figures) -> None:
        """Add what was found of another model."""
        for field in fields(Figures):
            setattr(self, field.name, getattr(self, field.name) + getattr(found, field.name))


def look(
    place: Place, model: str, jobs: Iterable[Job], *, repair: bool = True, scratch: Path | None = None
) -> Figures:
    """Count what is there, what is lost and what is wrong with a model; repair its aliases in between.

    Args:
        place: Where.
        model: The registered model.
        jobs: All that was ever tried on it.
        repair: Whether to repair the aliases once; otherwise they must be right by themselves.
        scratch: A folder for downloads, which need not exist; None: the files are not looked at.

    Raises:
        LedgerBrokenError: the chain of events does not hold.
        AssertionError: an event is there that the rules did not allow, or that nobody wanted.
    """
    registry = place.registry()
    known = {job.nonce: job for job in jobs if job.model == model}
    answers = place.done.read()
    acknowledged = {
        step: (job, answers[step]) for job in known.values() for step in job.steps if step in answers
    }
    ledger = read_ledger(registry, model)
    versions = registry.versions(model)
    _require_valid(ledger, known)
    held = registry.aliases(model)
    stale = _differing(ledger, held)
    if repair:
        project(registry, model)
        held = registry.aliases(model)
    counting = _counting(versions)
    assert ledger.voids == (), f"{model}: entries {ledger.voids} are no events"
    unknown = {event.version for event in ledger.events} - {version.version for version in counting.values()}
    assert not unknown, f"{model}: events name versions {unknown}, which a repeated request made"
    return Figures(
        acknowledged=len(acknowledged),
        events=len(ledger.events),
        versions=len(versions),
        lost=sum(
            given != {_answer(job, step, ledger, counting)} for step, (job, given) in acknowledged.items()
        ),
        doubled=len(ledger.events) - len({event.nonce for event in ledger.events}),
        repeated=len(versions) - len(counting),
        stale=stale,
        wrong=_differing(ledger, held),
        damaged=0 if scratch is None else _damaged(registry, versions, scratch),
    )


def _answer(job: Job, step: str, ledger: Ledger, counting: Mapping[str, ModelVersion]) -> str | None:
    """What the registry says that the step led to; None: it knows nothing of it."""
    if job.kind == "register":
        version = counting.get(step)
        return version.version if version else None
    event = ledger.with_nonce(step)
    return str(event.number) if event else None


def _counting(versions: Iterable[ModelVersion]) -> dict[str, ModelVersion]:
    """Nonce -> the version that counts: the lowest."""
    first: dict[str, ModelVersion] = {}
    for version in versions:
        first.setdefault(version.tags["ifp.nonce"], version)
    return first


def _require_valid(ledger: Ledger, jobs: Mapping[str, Job]) -> None:
    """Each event is what the rules give on the events before it, from a job that somebody began.

    A second event of an attempt is counted elsewhere.
    """
    for place, event in enumerate(ledger.events):
        if ledger.with_nonce(event.nonce) != event:
            continue
        job = jobs[event.nonce.partition(".")[0]]
        expected = replay(job, event, Ledger(ledger.model, ledger.events[:place]))
        assert (event.nonce in job.steps, expected) == (True, event), f"{event} is not {expected} of {job}"


def _differing(ledger: Ledger, held: Mapping[Any, str]) -> int:
    return sum(held.get(stage) != ledger.stages.get(stage) for stage in STAGES)


def _damaged(registry: Registry, versions: Iterable[ModelVersion], scratch: Path) -> int:
    """How many versions' files do not verify; what versions share is downloaded once."""
    whole: dict[tuple[str, str], bool] = {}
    for version in versions:
        key = (version.stored.uri, version.files_digest)
        if key not in whole:
            try:
                fetch(registry, version, scratch / version.model / version.version)
                whole[key] = True
            except IfpError:
                whole[key] = False
    return sum(not whole[version.stored.uri, version.files_digest] for version in versions)

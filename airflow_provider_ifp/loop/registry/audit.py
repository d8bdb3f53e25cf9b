"""Audit a model: the chain of its ledger, and whether registry and artifact store are what the ledger says.

Read once, then checked (`findings`): one listing each of versions, runs, stored models and folders,
however many there are. Files are downloaded and digested for the versions that stand somewhere and those that
ever were in production, each stored model once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.ledger import project, read_ledger
from airflow_provider_ifp.adapters.registry.protocol import PROMOTION, UNRECORDED
from airflow_provider_ifp.core.errors import RegistryError, VersionNotFoundError
from airflow_provider_ifp.core.registry.chain import breaks, sound_part, void_numbers
from airflow_provider_ifp.core.registry.lifecycle import STAGES
from airflow_provider_ifp.loop.registry.findings import (
    Finding,
    Sight,
    broken_ledger,
    lost_files,
    lost_runs,
    lost_versions,
    moved_aliases,
    orphans,
    strange_versions,
)
from airflow_provider_ifp.loop.registry.verify import (
    NO_ANSWER,
    as_moved,
    file_problems,
    provenance_problems,
    read_stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.registry.lifecycle import Ledger
    from airflow_provider_ifp.loop.registry.verify import Stored

_FIRST = (broken_ledger, moved_aliases)
_LAST = (strange_versions, lost_versions, lost_runs, lost_files, orphans)
"""The checks, before and after that of the files: what serves wrongly now comes first."""

_NAMED = 10  # problems of one version's files that a finding names


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found, and how much it looked at.

    Attributes:
        findings: All that is not as it should be.
        events: How many of the ledger's events were verified.
        versions: How many versions were held against the ledger.
        verified: How many versions' files were downloaded and digested.
    """

    findings: tuple[Finding, ...]
    events: int
    versions: int
    verified: int


def audit(registry: Registry, model: str, *, quick: bool = False) -> Audit:
    """Look for everything that contradicts the ledger; nothing is changed.

    Args:
        registry: Where the versions and the ledger are.
        model: The registered model.
        quick: Download no files.

    Raises:
        VersionNotFoundError: there is no such model.
        RegistryUnreachableError: the registry does not answer.
        RegistryDeniedError: it refuses the credentials.
    """
    found: list[Finding] = []
    sight = _look(registry, model, found)
    chosen = [] if quick else _worth_a_download(sight)
    for check in _FIRST:
        found += check(sight)
    found += _damages(registry, sight, chosen)
    for check in _LAST:
        found += check(sight)
    return Audit(
        findings=tuple(found),
        events=len(sight.ledger.events) if sight.ledger else 0,
        versions=len(sight.versions),
        verified=len(chosen),
    )


def repair(registry: Registry, model: str) -> list[str]:
    """Make the aliases follow the ledger again; a ledger that does not hold moves nothing.

    Returns:
        Each alias that was moved, in words.
    """
    try:
        ledger = read_ledger(registry, model)
    except NO_ANSWER:
        raise
    except RegistryError:
        return []  # the audit says why
    before = registry.aliases(model)
    try:
        project(registry, model)
    except VersionNotFoundError:
        # A version at a stage was deleted: its alias can be set nowhere, the others can.
        versions = {version.version for version in registry.versions(model)}
        registry.project(model, {stage: held for stage, held in ledger.stages.items() if held in versions})
    after = registry.aliases(model)
    return [
        f"alias {stage}: {before.get(stage, 'nothing')} -> {after.get(stage, 'nothing')}"
        for stage in STAGES
        if before.get(stage) != after.get(stage)
    ]


def _look(registry: Registry, model: str, found: list[Finding]) -> Sight:
    """Read all that the checks need; what cannot be read is a finding of its own."""
    entries: dict[str, str] = {}
    ledger: Ledger | None = None
    try:
        entries = registry.entries(model, PROMOTION)
        ledger = sound_part(model, entries)
        found += _deleted_ledger_run(registry, model)
    except NO_ANSWER:
        raise
    except RegistryError as error:
        found.append(
            Finding(
                kind="ledger-unreadable",
                what=f"The ledger cannot be read: {error}.",
                next="Restore what it names; until then nothing is promoted, and aliases are not checked.",
            )
        )
    versions = {version.version: version for version in registry.versions(model)}
    runs = registry.training_runs(model)
    for version in versions.values():
        # Of another experiment, if there is one.
        if version.run_id and version.run_id not in runs and (run := registry.run(version.run_id)):
            runs[version.run_id] = run
    if not versions and not entries and not found:
        raise VersionNotFoundError(f"there is no model {model!r} in {registry.uri}: no version, no ledger")
    return Sight(
        model=model,
        ledger=ledger,
        breaks=tuple(breaks(entries)),
        voids=void_numbers(entries),
        versions=versions,
        aliases=registry.aliases(model),
        runs=runs,
        stored=registry.stored_models(model),
        folders=_folders(registry, model, found),
    )


def _deleted_ledger_run(registry: Registry, model: str) -> Iterator[Finding]:
    run_id = registry.journal_run(model, PROMOTION)
    run = None if run_id is None else registry.run(run_id)
    if run is not None and run.deleted:
        yield Finding(
            kind="ledger-run-deleted",
            where=f"run {run_id}",
            what=f"The run {run_id}, which holds the ledger, was deleted in MLflow: nothing can be promoted.",
            next=f"Restore it before `mlflow gc` runs: `mlflow runs restore --run-id {run_id}`.",
        )


def _folders(registry: Registry, model: str, found: list[Finding]) -> frozenset[str] | None:
    try:
        return frozenset(registry.stored_folders(model))
    except NO_ANSWER:
        raise
    except RegistryError as error:
        found.append(
            Finding(
                kind="store-unreadable",
                what=f"The artifact store could not be listed: {error}.",
                next="Give this user the right to list it, and audit again.",
            )
        )
        return None


def _worth_a_download(sight: Sight) -> list[ModelVersion]:
    """The versions at a stage, by the ledger or by an alias, and all that ever were in production."""
    numbers = set(sight.aliases.values())
    if sight.ledger:
        numbers |= set(sight.ledger.standings)
    return [version for number, version in sight.versions.items() if number in numbers]


def _damages(registry: Registry, sight: Sight, chosen: list[ModelVersion]) -> Iterator[Finding]:
    """Files and provenance that are not what was registered; a stored model that twins share is read once."""
    stored: dict[str, Stored] = {}
    for version in chosen:
        number, uri = version.version, version.stored.uri
        if version.files_digest == UNRECORDED or (sight.folders is not None and uri not in sight.folders):
            continue  # another check tells
        if uri not in stored:
            stored[uri] = read_stored(registry, version.stored)
        moved = as_moved(version, sight.ledger.events if sight.ledger else ())
        if problems := list(file_problems(registry, moved, stored[uri])):
            more = f", and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
            yield Finding(
                kind="files",
                version=number,
                where=uri,
                what=f"Version {number}: {', '.join(problems[:_NAMED])}{more}.",
                next=_after_damage(sight, number),
            )
    for version in chosen:
        for problem in provenance_problems(registry, version) if version.run_id in sight.runs else ():
            yield Finding(
                kind="provenance",
                version=version.version,
                where=f"run {version.run_id}",
                what=f"Version {version.version}: {problem}.",
                next="Restore the file from a backup of the artifact store.",
            )


def _after_damage(sight: Sight, number: str) -> str:
    if sight.ledger and sight.ledger.production == number:
        return f"Roll back (`ifp rollback {sight.model} --reason ...`), and look who may write to the store."
    return "Nothing loads or promotes it; restore the files from a backup, or train the version again."

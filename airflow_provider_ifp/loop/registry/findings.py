"""What an audit can find, each check a function of what was read of the registry; nothing is read here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.registry.protocol import UNRECORDED
from airflow_provider_ifp.core.registry.lifecycle import STAGES
from airflow_provider_ifp.loop.registry.verify import tag_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Run, StoredModel
    from airflow_provider_ifp.core.registry.lifecycle import Ledger, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: What sort of thing, one word for programs.
        what: The finding, one sentence.
        next: What to do about it, one sentence.
        version: The model version that it is about, or None.
        where: The alias, run, ledger entry or place in the store that it is about, or None.
    """

    kind: str
    what: str
    next: str
    version: str | None = None
    where: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For `ifp audit --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that an audit reads of one model, read once.

    Attributes:
        model: The registered model.
        ledger: As far as its chain holds; None where it cannot be read.
        breaks: Where the chain breaks, in words.
        voids: Numbers of ledger entries that are no events.
        versions: Number -> version, ascending.
        aliases: Stage -> version.
        runs: Id -> run, of every version's training run that there is.
        stored: All stored models.
        folders: URIs of all model folders in the artifact store; None where they could not be listed.
    """

    model: str
    ledger: Ledger | None
    breaks: tuple[str, ...]
    voids: tuple[int, ...]
    versions: Mapping[str, ModelVersion]
    aliases: Mapping[Stage, str]
    runs: Mapping[str, Run]
    stored: tuple[StoredModel, ...]
    folders: frozenset[str] | None


def broken_ledger(sight: Sight) -> Iterator[Finding]:
    """Events that are missing or changed, and entries that are no events."""
    for problem in sight.breaks:
        yield Finding(
            kind="ledger-broken",
            what=f"{problem[0].upper()}{problem[1:]}.",
            next=(
                "Restore MLflow's database from a backup: until then nothing is promoted, and aliases are "
                "neither checked nor repaired."
            ),
        )
    for number in sight.voids:
        yield Finding(
            kind="ledger-entry",
            where=f"entry {number}",
            what=f"Ledger entry {number} is no event: somebody else wrote it.",
            next=(
                "It is passed over and nobody can remove it; look who may write to the experiment "
                f"ifp-ledger/{sight.model}."
            ),
        )


def moved_aliases(sight: Sight) -> Iterator[Finding]:
    """Aliases that say something else than the ledger."""
    if sight.ledger is None or sight.breaks:
        return  # no word to hold them against
    for stage in STAGES:
        held, told = sight.aliases.get(stage), sight.ledger.stages.get(stage)
        if held == told:
            continue
        entered = [event.number for event in sight.ledger.events if event.target == stage]
        last = f" since event {entered[-1]}" if entered and told else ""
        place = f"points at version {held}" if held else "is not set"
        should = f"has version {told} in {stage}{last}" if told else f"has no version in {stage}"
        yield Finding(
            kind="alias",
            version=held or told,
            where=f"alias {stage}",
            what=f"Alias {stage} {place}, but the ledger {should}.",
            next=_mend(sight, stage, held, told),
        )


def _mend(sight: Sight, stage: Stage, held: str | None, told: str | None) -> str:
    if told is not None and told not in sight.versions:
        return f"Version {told} is gone: roll back, or promote another version to {stage}."
    if sight.ledger is not None and not sight.ledger.events:
        recorded = f"`ifp promote {sight.model} {held} --to {stage}`"
        return f"Remove the alias in MLflow, or put it on record with {recorded}."
    return f"`ifp audit {sight.model} --repair` makes the aliases follow the ledger again."


def lost_versions(sight: Sight) -> Iterator[Finding]:
    """Versions that were deleted: the ledger names them, or their numbers are missing."""
    named = [event.version for event in sight.ledger.events] if sight.ledger else []
    newest = max((int(number) for number in sight.versions), default=0)
    missing = {str(number) for number in range(1, newest + 1)} | set(named)
    standings = sight.ledger.standings if sight.ledger else {}
    for number in sorted(missing - sight.versions.keys(), key=_by_number):
        stage = standings.get(number)
        stood = {None: "", "archived": " It was in production once."}.get(stage, f" It stands in {stage}.")
        yield Finding(
            kind="version-deleted",
            version=number,
            what=f"Version {number} was deleted from the registry.{stood}",
            next=(
                "Roll back, or promote another version: nothing can be loaded from that stage."
                if stage in STAGES
                else "Nothing can go back to it; restore MLflow's database from a backup if it is needed."
            ),
        )


def strange_versions(sight: Sight) -> Iterator[Finding]:
    """Versions of another hand, and those whose tags contradict the ledger."""
    moves = defaultdict(list)
    for event in sight.ledger.events if sight.ledger else ():
        moves[event.version].append(event)
    for number, version in sight.versions.items():
        contradiction = tag_problem(version, moves[number])
        if contradiction is not None:
            yield Finding(
                kind="version-tags",
                version=number,
                what=f"Version {number}: {contradiction}.",
                next=(
                    "The event is right, for it cannot be changed: look who may write to MLflow, and set the "
                    "tag to what the event says."
                ),
            )
        elif UNRECORDED in (version.files_digest, version.content_digest):
            yield Finding(
                kind="version-foreign",
                version=number,
                what=(
                    f"Version {number} was not registered by this provider: it lacks tag ifp.files_digest or "
                    "ifp.content_digest, and its files cannot be verified."
                ),
                next="If it is meant to serve, register it with ifp.track or TrainOperator; else delete it.",
            )


def lost_runs(sight: Sight) -> Iterator[Finding]:
    """Versions whose training run, with their provenance and verdicts, was deleted or is gone."""
    for number, version in sight.versions.items():
        run = sight.runs.get(version.run_id)
        if (run is not None and not run.deleted) or not version.run_id:
            continue
        if run is None:
            kind, state, after = "run-gone", "is gone", "Provenance and verdicts are lost: train it again."
        else:
            kind, state = "run-deleted", "was deleted"
            after = f"Restore it before `mlflow gc` runs: `mlflow runs restore --run-id {version.run_id}`."
        yield Finding(
            kind=kind,
            version=number,
            where=f"run {version.run_id}",
            what=f"The training run of version {number} {state}, and its provenance with it.",
            next=after,
        )


def lost_files(sight: Sight) -> Iterator[Finding]:
    """Versions whose stored model MLflow does not know any more, or whose folder is not in the store."""
    known = {stored.uri for stored in sight.stored}
    for number, version in sight.versions.items():
        uri = version.stored.uri
        if UNRECORDED in (version.files_digest, version.content_digest):
            continue
        if sight.folders is not None and uri not in sight.folders:
            yield Finding(
                kind="files-gone",
                version=number,
                where=uri,
                what=f"The files of version {number} are gone: the artifact store has no folder {uri}.",
                next="Restore the folder from a backup, or train the version again.",
            )
        elif uri not in known:
            yield Finding(
                kind="stored-model-deleted",
                version=number,
                where=uri,
                what=f"MLflow's logged model behind version {number} was deleted; its files are still there.",
                next="Restore it before `mlflow gc` deletes the files, or train the version again.",
            )


def orphans(sight: Sight) -> Iterator[Finding]:
    """Stored models that no version names, and folders in the store that MLflow does not know."""
    named = {version.stored.uri for version in sight.versions.values()}
    for stored in sight.stored:
        if stored.uri not in named and (sight.folders is None or stored.uri in sight.folders):
            yield Finding(
                kind="orphan-model",
                where=stored.uri,
                what=f"No version names the stored model {stored.id or stored.uri}.",
                next=(
                    "A registration that was killed, or one under way, leaves it; a training with the same "
                    "result uses it; else delete it in MLflow."
                ),
            )
    for folder in sorted((sight.folders or frozenset()) - named - {stored.uri for stored in sight.stored}):
        yield Finding(
            kind="orphan-folder",
            where=folder,
            what=f"The artifact store has a folder that MLflow knows no stored model for: {folder}.",
            next="An upload that was killed, or one under way, leaves it; if it is old, delete it.",
        )


def _by_number(version: str) -> tuple[int, str]:
    return (int(version), version) if version.isdecimal() else (0, version)

"""Verify a version: stored files, digests and provenance against what was registered and what was moved.

Files are held against the tag `ifp.files_digest`, and the tag against each ledger event that moved the
version: tags can be set anew by anybody who may write to MLflow, events cannot.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.data.fingerprint import folder_manifest
from airflow_provider_ifp.adapters.registry.protocol import PROMOTION, UNRECORDED
from airflow_provider_ifp.core.digest import digest_json, digest_manifest, file_changes
from airflow_provider_ifp.core.errors import (
    IfpError,
    RegistryDeniedError,
    RegistryError,
    RegistryUnreachableError,
)
from airflow_provider_ifp.core.registry.chain import sound_part
from airflow_provider_ifp.core.registry.lifecycle import Ledger
from airflow_provider_ifp.training.registration import FILES, PROVENANCE, content_digest, registered_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry, StoredModel
    from airflow_provider_ifp.core.registry.lifecycle import Event

NO_ANSWER = (RegistryUnreachableError, RegistryDeniedError)
"""With these we know nothing: they are no problem of the version's."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored files as they are now.

    Attributes:
        manifest: Path -> sha256, or None where they cannot be read.
        content_digest: Of the model that they are, or None where they are none.
        problem: Why one of the above is None, in words.
    """

    manifest: dict[str, str] | None
    content_digest: str | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What a version's files amount to now, and every way in which that is not what was registered."""

    content_digest: str | None
    problems: tuple[str, ...]


def verify(registry: Registry, version: ModelVersion) -> Verification:
    """Download a version's files and compare all that is on record about them; nothing of them is opened.

    Raises:
        RegistryUnreachableError: the registry does not answer.
        RegistryDeniedError: it refuses the credentials.
    """
    ledger, told = _ledger(registry, version.model)
    stored = read_stored(registry, version.stored)
    contradiction = tag_problem(version, ledger.events)
    problems = (
        *told,
        *([contradiction] if contradiction else []),
        *file_problems(registry, as_moved(version, ledger.events), stored),
        *provenance_problems(registry, version),
    )
    return Verification(stored.content_digest, problems)


def read_stored(registry: Registry, stored: StoredModel) -> Stored:
    """Download stored files and digest them.

    Raises:
        RegistryUnreachableError: the registry does not answer.
    """
    manifest = None
    with tempfile.TemporaryDirectory(prefix="ifp-verify-") as scratch:
        folder = Path(scratch, "model")
        try:
            registry.download(stored, folder)
            manifest = folder_manifest(folder)
            return Stored(manifest, content_digest(folder))
        except NO_ANSWER:
            raise
        except IfpError as error:
            # The scratch folder's name says nothing to whoever reads this.
            return Stored(manifest, None, str(error).replace(str(folder), stored.uri))


def tag_problem(version: ModelVersion, events: Iterable[Event]) -> str | None:
    """Where the version's tag contradicts an event that moved it; None if it does nowhere."""
    for event in events:
        if event.version == version.version and event.files_digest not in (None, version.files_digest):
            return (
                f"tag ifp.files_digest is {version.files_digest}, but ledger event {event.number} moved the "
                f"files {event.files_digest}"
            )
    return None


def as_moved(version: ModelVersion, events: Iterable[Event]) -> ModelVersion:
    """The version with the files that its first move put on record, whatever its tag says now."""
    for event in events:
        if event.version == version.version and event.files_digest is not None:
            return replace(version, tags={**version.tags, "ifp.files_digest": event.files_digest})
    return version


def file_problems(registry: Registry, version: ModelVersion, stored: Stored) -> Iterator[str]:
    """Where the stored files are not those that were registered: which file, if that can be told."""
    if UNRECORDED in (version.files_digest, version.content_digest):
        yield (
            "it was not registered by this provider (no tag ifp.files_digest or ifp.content_digest): nothing "
            "is on record to hold its files against"
        )
    elif stored.manifest is None:
        yield f"the stored files cannot be read: {stored.problem}"
    elif digest_manifest(stored.manifest) != version.files_digest:
        registered = registered_files(registry, version)
        if registered is not None:
            yield from file_changes(registered, stored.manifest)
            return
        found = f"expected {version.files_digest}, found {digest_manifest(stored.manifest)}"
        yield (
            f"the stored files are not those that were registered ({found}); which of them cannot be told: "
            f"{FILES} of run {version.run_id} is gone or was changed"
        )
    elif stored.content_digest != version.content_digest:
        yield (
            f"tag ifp.content_digest is {version.content_digest}, but its files are those that were "
            f"registered, and their content digest is {stored.content_digest}"
        )


def provenance_problems(registry: Registry, version: ModelVersion) -> Iterator[str]:
    """Where the run's provenance is not what was registered."""
    expected = version.tags.get("ifp.provenance_digest")
    if expected is None:
        return
    try:
        content = registry.get_file(version.run_id, PROVENANCE)
        found = None if content is None else digest_json(json.loads(content))
    except NO_ANSWER:
        raise
    except RegistryError as error:
        yield f"{PROVENANCE} of run {version.run_id} cannot be read: {error}"
        return
    except (ValueError, RecursionError, IfpError) as error:
        yield f"{PROVENANCE} of run {version.run_id} is no JSON any more: {error}"
        return
    if found is None:
        yield f"{PROVENANCE} of run {version.run_id} is gone"
    elif found != expected:
        yield f"{PROVENANCE} of run {version.run_id} was changed (expected {expected}, found {found})"


def _ledger(registry: Registry, model: str) -> tuple[Ledger, tuple[str, ...]]:
    """The ledger as far as it holds: files can be verified though it is broken."""
    try:
        return sound_part(model, registry.entries(model, PROMOTION)), ()
    except NO_ANSWER:
        raise
    except RegistryError as error:
        return Ledger(model), (f"the ledger cannot be read: {error}",)

"""From a saved model folder to an immutable, content-addressed version of a registered model.

Files first, version last: creating the version is what makes them count, so a crash before it leaves nothing
that anything refers to, and a repeated call with the same nonce finds the version that it made.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_ifp.adapters.data.fingerprint import folder_manifest
from airflow_provider_ifp.adapters.registry.protocol import UNRECORDED
from airflow_provider_ifp.core.digest import canonical_json, digest_json, digest_manifest, file_changes
from airflow_provider_ifp.core.errors import DigestMismatchError, IfpError, ModelError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry, StoredModel

log = logging.getLogger(__name__)

PROVENANCE = "ifp/provenance.json"
FILES = "ifp/files.json"
"""The stored files' manifest, path -> sha256: with it a damaged file can be named."""

_NAMED = 5  # files that an error names

_VOLATILE = (
    "artifact_path",
    "model_id",
    "model_size_bytes",
    "model_uuid",
    "run_id",
    "utc_time_created",
)
"""What MLflow writes into `MLmodel` that is no content: who wrote it, when, and where to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What to register, and what made it.

    Attributes:
        model: Name of the registered model.
        run_id: The training run.
        folder: The saved MLflow model folder.
        provenance: What made it; goes to `ifp/provenance.json`.
        files: More files of the run, path -> content, such as `ifp/profile.json`.
        build_key: Digest of all that determines the result, or `unrecorded`.
        data_digest: Content digest of the training data, or `unrecorded`.
        seed: As text, or `unrecorded`.
        tags: Tags of the user's own.
        nonce: Names the attempt; a repeated call returns the version that it made before.
    """

    model: str
    run_id: str
    folder: Path
    provenance: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    build_key: str = UNRECORDED
    data_digest: str = UNRECORDED
    seed: str = UNRECORDED
    tags: Mapping[str, str] = field(default_factory=dict)
    nonce: str


def register(registry: Registry, registration: Registration) -> ModelVersion:
    """Store the files and create the version, with all its tags, in that order.

    The model's files are stored once: a version of the same content shares the files of the one before.

    Raises:
        RegistryError: the registry refused or failed; no version exists, and a repeated call goes on.
    """
    content = content_digest(registration.folder)
    stored, files = _store_once(registry, registration, content)
    for path, payload in registration.files.items():
        registry.put_file(registration.run_id, path, payload)
    registry.put_file(registration.run_id, FILES, canonical_json(files))
    registry.put_file(registration.run_id, PROVENANCE, canonical_json(registration.provenance))
    tags = {
        **registration.tags,
        "ifp.content_digest": content,
        "ifp.files_digest": digest_manifest(files),
        "ifp.build_key": registration.build_key,
        "ifp.provenance_digest": digest_json(registration.provenance),
        "ifp.code_commit": registration.provenance.get("code", {}).get("commit") or UNRECORDED,
        "ifp.data_digest": registration.data_digest,
        "ifp.seed": registration.seed,
    }
    return registry.create_version(
        registration.model, run_id=registration.run_id, stored=stored, tags=tags, nonce=registration.nonce
    )


def _store_once(
    registry: Registry, registration: Registration, content: str
) -> tuple[StoredModel, dict[str, str]]:
    """The files at rest, and their manifest: those of the same content that are whole, else stored now.

    What a killed registration stored is found too, though no version names it.
    """
    for twin in registry.stored_models(registration.model, content):
        with tempfile.TemporaryDirectory(prefix="ifp-twin-") as scratch:
            folder = Path(scratch, "model")
            try:
                registry.download(twin, folder)
                if content_digest(folder) == content:
                    return twin, folder_manifest(folder)
            except IfpError as error:
                log.warning("%s: %s", twin.uri, error)
        log.warning("%s: these files are not whole any more; they are stored anew elsewhere", twin.uri)
    stored = registry.store_model(
        registration.model, registration.run_id, registration.folder, content_digest=content
    )
    return stored, folder_manifest(registration.folder)


def content_digest(folder: Path) -> str:
    """The digest that retrained twins share: all files, with `MLmodel` in a canonical form.

    Raises:
        ModelError: the folder has no `MLmodel`, or one that is none.
    """
    manifest = folder_manifest(folder)
    if "MLmodel" not in manifest:
        raise ModelError(f"{folder}: no MLmodel in it; expected the folder of a saved MLflow model")
    try:
        described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder}: its MLmodel is no YAML: {error}") from error
    if not isinstance(described, dict):
        raise ModelError(f"{folder}: its MLmodel holds no keys; expected the folder of a saved MLflow model")
    kept = {key: value for key, value in described.items() if key not in _VOLATILE}
    manifest["MLmodel"] = hashlib.sha256(canonical_json(kept)).hexdigest()
    return digest_manifest(manifest)


def files_digest(folder: Path) -> str:
    """The digest of the stored bytes, which every load checks."""
    return digest_manifest(folder_manifest(folder))


def require_whole(version: ModelVersion, folder: Path, registry: Registry | None = None) -> None:
    """Check downloaded files against the version's digest, before anything of them is unpickled.

    Args:
        version: What the files should be.
        folder: Where they are.
        registry: Holds the manifest by which a damaged file is named.

    Raises:
        DigestMismatchError: files were changed, removed or added since they were registered.
    """
    if version.files_digest == UNRECORDED:
        raise DigestMismatchError(
            f"{version.model} version {version.version} has no tag 'ifp.files_digest': it was not registered "
            "by this provider, so its files cannot be verified; train and register it with ifp.track "
            "or TrainOperator"
        )
    manifest = folder_manifest(folder)
    found = digest_manifest(manifest)
    if found == version.files_digest:
        return
    registered = registered_files(registry, version) if registry else None
    changes = file_changes(registered, manifest) if registered else []
    named = f": {', '.join(changes[:_NAMED])}" if changes else ""
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    raise DigestMismatchError(
        f"{version.model} version {version.version}: the stored files are not those that were registered"
        f"{named}{more} (expected {version.files_digest}, found {found}); roll back to another version and "
        f"look who may write to {version.stored.uri}"
    )


def registered_files(registry: Registry, version: ModelVersion) -> dict[str, str] | None:
    """The manifest of the files that were registered; None where it is gone or was changed."""
    try:
        manifest = json.loads(registry.get_file(version.run_id, FILES) or b"null")
        return manifest if digest_manifest(manifest) == version.files_digest else None
    except (RegistryError, ValueError, AttributeError, TypeError, IfpError):
        return None

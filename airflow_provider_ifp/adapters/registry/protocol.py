"""What this provider needs of a model registry; MLflow and an in-memory double both offer it.

Every call is small and says what it promises under races and crashes, because the rest is built on that:
`put_entry` is the one compare-and-set, and everything else can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_ifp.core.registry.lifecycle import Stage

UNRECORDED = "unrecorded"
PROMOTION, TRAINING = "promotion", "training"
"""A model's journals: the promotion ledger, and who trains what."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model's files at rest, which versions of the same content share.

    Attributes:
        id: The registry's own name for them.
        uri: Where they are, a URI or a path.
    """

    id: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One immutable entry of a registered model.

    Attributes:
        model: Name of the registered model.
        version: Its number, as text.
        run_id: The training run that made it; holds the files under `ifp/`.
        stored: Its files.
        created: Milliseconds since 1970.
        tags: The tags set when it was created.
    """

    model: str
    version: str
    run_id: str
    stored: StoredModel
    created: int
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_digest(self) -> str:
        """Digest of what the model is and saw; `unrecorded` for a version made by another hand."""
        return self.tags.get("ifp.content_digest", UNRECORDED)

    @property
    def files_digest(self) -> str:
        """Digest of the stored files; `unrecorded` for a version made by another hand."""
        return self.tags.get("ifp.files_digest", UNRECORDED)

    @property
    def build_key(self) -> str:
        """Digest of what determined the training's result; `unrecorded` where it was not launched."""
        return self.tags.get("ifp.build_key", UNRECORDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training run as the registry has it.

    Attributes:
        status: `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
        deleted: Whether somebody deleted it; its files may be gone soon.
        tags: Its tags.
    """

    status: str
    deleted: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a metric during training; `time` in milliseconds since 1970."""

    key: str
    value: float
    step: int
    time: int


class Registry(Protocol):
    """A model registry with runs, immutable versions, journals that are written once, and aliases."""

    @property
    def uri(self) -> str:
        """Where it is, without credentials."""

    def start_run(self, model: str, *, name: str, tags: Mapping[str, str]) -> str:
        """Start a run in the model's experiment; returns its id."""

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write parameters; each can be written once."""

    def log_metrics(self, run_id: str, measurements: Sequence[Measurement]) -> None:
        """Append measurements, all in few calls."""

    def finish_run(self, run_id: str, status: str) -> None:
        """End the run as `FINISHED`, `FAILED` or `KILLED`."""

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run; the last writer wins."""

    def run(self, run_id: str) -> Run | None:
        """What is known of a run; None if the registry has none of that id."""

    def training_runs(self, model: str) -> dict[str, Run]:
        """All runs of the model's experiment by their ids, the deleted ones too."""

    def put_file(self, run_id: str, path: str, content: bytes) -> None:
        """Store one file of the run, such as `ifp/profile.json`."""

    def get_file(self, run_id: str, path: str) -> bytes | None:
        """Read one file of the run; None if there is none."""

    def file_address(self, run_id: str, path: str) -> str | None:
        """Where a person sees a file of the run in a browser; None where there are no pages."""

    def store_model(self, model: str, run_id: str, folder: Path, *, content_digest: str) -> StoredModel:
        """Store the folder's files. Nothing refers to them until a version does."""

    def stored_models(self, model: str, content_digest: str | None = None) -> tuple[StoredModel, ...]:
        """Files stored whole for versions of the model, oldest first.

        Args:
            model: The registered model.
            content_digest: Only those stored under this digest; None: all.
        """

    def stored_folders(self, model: str) -> tuple[str, ...]:
        """URIs of all model folders that lie in the model's part of the artifact store, known or not."""

    def create_version(
        self, model: str, *, run_id: str, stored: StoredModel, tags: Mapping[str, str], nonce: str
    ) -> ModelVersion:
        """Create the next version; a repeated call with the same nonce returns the first one's version."""

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """All versions, ascending; empty if the model is unknown."""

    def latest(self, model: str) -> ModelVersion | None:
        """The version with the highest number; None if the model has none."""

    def find_versions(self, model: str, tags: Mapping[str, str]) -> tuple[ModelVersion, ...]:
        """The versions that have all these tags, ascending; the registry searches, we read none in vain."""

    def tag_version(self, version: ModelVersion, key: str, value: str) -> None:
        """Set a tag of a version; the last writer wins."""

    def version(self, model: str, version: str) -> ModelVersion:
        """One version.

        Raises:
            VersionNotFoundError: there is no such version; the message lists those there are.
        """

    def download(self, stored: StoredModel, folder: Path) -> None:
        """Copy the stored files into the empty folder, byte for byte."""

    def entries(self, model: str, journal: str) -> dict[str, str]:
        """All that a journal of the model holds, key -> text; empty if it was never written."""

    def has_entry(self, model: str, journal: str, key: str) -> bool:
        """Whether a journal has an entry of that key; a no costs the same however long the journal is."""

    def put_entry(self, model: str, journal: str, key: str, text: str) -> None:
        """Write an entry once: the one compare-and-set. The same text again is no error.

        Args:
            model: The registered model.
            journal: `promotion` (the ledger) or `training` (claims); each is made when first written.
            key: At most 250 characters.
            text: Under 6,000 characters.

        Raises:
            LedgerConflictError: the key has another text already.
            RegistryError: the text is too long.
        """

    def journal_run(self, model: str, journal: str) -> str | None:
        """The id of the run that holds a journal; None if nobody ever wrote to it, or if no run holds it."""

    def aliases(self, model: str) -> dict[Stage, str]:
        """The registry's aliases among our stages: stage -> version."""

    def project(self, model: str, stages: Mapping[Stage, str]) -> None:
        """Make the aliases say what the ledger says."""

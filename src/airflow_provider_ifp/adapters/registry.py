"""What this provider needs of a model registry; MLflow and an in-memory double both offer it.

Every call is small and says what it promises under races and crashes, because the rest is built on that:
`append_event` is the one compare-and-set, and everything else can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_ifp.core.lifecycle import Event, Stage

UNRECORDED = "unrecorded"


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


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a metric during training; `time` in milliseconds since 1970."""

    key: str
    value: float
    step: int
    time: int


class Registry(Protocol):
    """A model registry with runs, immutable versions, a ledger of events, and aliases."""

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

    def put_file(self, run_id: str, path: str, content: bytes) -> None:
        """Store one file of the run, such as `ifp/profile.json`."""

    def get_file(self, run_id: str, path: str) -> bytes | None:
        """Read one file of the run; None if there is none."""

    def store_model(self, model: str, run_id: str, folder: Path, *, content_digest: str) -> StoredModel:
        """Store the folder's files. Nothing refers to them until a version does."""

    def create_version(
        self, model: str, *, run_id: str, stored: StoredModel, tags: Mapping[str, str], nonce: str
    ) -> ModelVersion:
        """Create the next version; a repeated call with the same nonce returns the first one's version."""

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """All versions, ascending; empty if the model is unknown."""

    def version(self, model: str, version: str) -> ModelVersion:
        """One version.

        Raises:
            VersionNotFoundError: there is no such version; the message lists those there are.
        """

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Copy the version's stored files into the empty folder, byte for byte."""

    def events(self, model: str) -> tuple[Event, ...]:
        """The ledger's events, in order, their chain verified."""

    def append_event(self, model: str, event: Event) -> None:
        """Write the event under its number, once.

        Raises:
            LedgerConflictError: another event has that number.
        """

    def aliases(self, model: str) -> dict[Stage, str]:
        """The registry's aliases among our stages: stage -> version."""

    def project(self, model: str, stages: Mapping[Stage, str]) -> None:
        """Make the aliases say what the ledger says."""

"""Files behind MLflow: those of runs and those of stored models, wherever its artifact store is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


class MlflowFiles:
    """Reads and writes artifacts as one user.

    Not by the client's own calls: it keeps what reads and writes them for the whole process, by run id, and
    one user would act as another.

    Args:
        client: Says where a run's files are.
        address: The tracking URI, by which a proxied store is asked.
    """

    def __init__(self, client: MlflowClient, address: str) -> None:
        self._client = client
        self._address = address
        self._folders: dict[str, str] = {}

    def put(self, run_id: str, path: str, content: bytes) -> None:
        """Store one file of a run."""
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="ifp-") as scratch:
            local = Path(scratch, name)
            local.write_bytes(content)
            self._of_run(run_id).log_artifact(str(local), folder or None)

    def get(self, run_id: str, path: str) -> bytes | None:
        """Read one file of a run; None if there is none."""
        files = self._of_run(run_id)
        # Asked first, since a download of a missing path may give an empty folder and no error.
        there = files.list_artifacts(path.rpartition("/")[0] or None)
        if path not in {entry.path for entry in there if not entry.is_dir}:
            return None
        with tempfile.TemporaryDirectory(prefix="ifp-") as scratch:
            return Path(files.download_artifacts(path, scratch)).read_bytes()

    def upload(self, uri: str, folder: Path) -> None:
        """Store all files of a folder."""
        self._at(uri).log_artifacts(str(folder))

    def download(self, uri: str, folder: Path) -> None:
        """Copy all files to an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ifp-", dir=folder.parent) as scratch:
            for entry in Path(self._at(uri).download_artifacts("", scratch)).iterdir():
                entry.rename(folder / entry.name)

    def folders(self, uri: str) -> list[str]:
        """Names of the folders there."""
        return [Path(entry.path).name for entry in self._at(uri).list_artifacts() if entry.is_dir]

    def _of_run(self, run_id: str) -> ArtifactRepository:
        if run_id not in self._folders:
            self._folders[run_id] = str(self._client.get_run(run_id).info.artifact_uri)
        return self._at(self._folders[run_id])

    def _at(self, uri: str) -> ArtifactRepository:
        return get_artifact_repository(uri, tracking_uri=self._address)

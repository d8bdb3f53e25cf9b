"""The in-memory double of the registry: same promises, one process, nothing stored.

Part of the package so that users can test their own Dags and gates against it; the suite in
`tests/integration/adapters/registry/test_contract.py` runs on this and on a real MLflow server.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Run, StoredModel
from airflow_provider_ifp.core.errors import LedgerConflictError, RegistryError, VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.adapters.registry.protocol import Measurement
    from airflow_provider_ifp.core.registry.lifecycle import Stage

_TEXT_LIMIT = 6000


class MemoryRegistry:
    """A `Registry` that lives as long as this object."""

    uri = "memory:"

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self._store = tempfile.TemporaryDirectory(prefix="ifp-memory-registry-")
        self._versions: dict[str, list[ModelVersion]] = defaultdict(list)
        self._journals: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self._stored: dict[str, list[tuple[StoredModel, str]]] = defaultdict(list)
        self._aliases: dict[str, dict[Stage, str]] = defaultdict(dict)
        self._files: dict[tuple[str, str], bytes] = {}
        self.runs: dict[str, dict[str, str]] = {}
        self.params: dict[str, dict[str, str]] = defaultdict(dict)
        self.metrics: dict[str, list[Measurement]] = defaultdict(list)

    def close(self) -> None:
        """Remove the stored model files."""
        self._store.cleanup()

    def start_run(self, model: str, *, name: str, tags: Mapping[str, str]) -> str:
        run_id = f"run-{next(self._numbers)}"
        self.runs[run_id] = {**tags, "model": model, "name": name, "status": "RUNNING"}
        return run_id

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        for key, value in params.items():
            if self.params[run_id].setdefault(key, value) != value:
                raise RegistryError(f"run {run_id}: param {key!r} is {self.params[run_id][key]!r} already")

    def log_metrics(self, run_id: str, measurements: Sequence[Measurement]) -> None:
        self.metrics[run_id] += measurements

    def finish_run(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id][key] = value

    def run(self, run_id: str) -> Run | None:
        found = self.runs.get(run_id)
        return None if found is None else Run(status=found["status"], deleted=False, tags=dict(found))

    def training_runs(self, model: str) -> dict[str, Run]:
        found = {run_id: self.run(run_id) for run_id, kept in self.runs.items() if kept["model"] == model}
        return {run_id: run for run_id, run in found.items() if run is not None}

    def put_file(self, run_id: str, path: str, content: bytes) -> None:
        self._files[run_id, path] = content

    def get_file(self, run_id: str, path: str) -> bytes | None:
        return self._files.get((run_id, path))

    def file_address(self, run_id: str, path: str) -> str | None:  # noqa: ARG002 - the protocol's
        """It has no pages."""
        return None

    def store_model(self, model: str, run_id: str, folder: Path, *, content_digest: str) -> StoredModel:  # noqa: ARG002 - a run has no folder of its own here
        target = Path(self._store.name, f"{model}-{next(self._numbers)}")
        shutil.copytree(folder, target)
        stored = StoredModel(target.name, str(target))
        self._stored[model].append((stored, content_digest))
        return stored

    def stored_models(self, model: str, content_digest: str | None = None) -> tuple[StoredModel, ...]:
        return tuple(stored for stored, found in self._stored[model] if content_digest in (None, found))

    def stored_folders(self, model: str) -> tuple[str, ...]:
        return tuple(str(path) for path in sorted(Path(self._store.name).glob(f"{model}-[0-9]*")))

    def create_version(
        self, model: str, *, run_id: str, stored: StoredModel, tags: Mapping[str, str], nonce: str
    ) -> ModelVersion:
        with self._lock:
            for entry in self._versions[model]:
                if entry.tags["ifp.nonce"] == nonce:
                    return entry
            made = ModelVersion(
                model=model,
                version=str(len(self._versions[model]) + 1),
                run_id=run_id,
                stored=stored,
                created=int(time.time() * 1000),
                tags={**tags, "ifp.nonce": nonce},
            )
            self._versions[model].append(made)
            return made

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        return tuple(self._versions.get(model, ()))

    def latest(self, model: str) -> ModelVersion | None:
        return self._versions[model][-1] if self._versions.get(model) else None

    def find_versions(self, model: str, tags: Mapping[str, str]) -> tuple[ModelVersion, ...]:
        return tuple(entry for entry in self.versions(model) if tags.items() <= entry.tags.items())

    def tag_version(self, version: ModelVersion, key: str, value: str) -> None:
        entries = self._versions[version.model]
        place = int(version.version) - 1
        entries[place] = replace(entries[place], tags={**entries[place].tags, key: value})

    def version(self, model: str, version: str) -> ModelVersion:
        for entry in self.versions(model):
            if entry.version == version:
                return entry
        known = ", ".join(entry.version for entry in self.versions(model)) or "none"
        raise VersionNotFoundError(f"{model} has no version {version!r} at {self.uri}; its versions: {known}")

    def download(self, stored: StoredModel, folder: Path) -> None:
        shutil.copytree(stored.uri, folder, dirs_exist_ok=True)

    def entries(self, model: str, journal: str) -> dict[str, str]:
        return dict(self._journals[model, journal])

    def has_entry(self, model: str, journal: str, key: str) -> bool:
        return key in self._journals[model, journal]

    def put_entry(self, model: str, journal: str, key: str, text: str) -> None:
        if len(text) >= _TEXT_LIMIT:
            raise RegistryError(
                f"{model}: {journal} entry {key} has {len(text)} characters; shorten its reason"
            )
        with self._lock:
            if self._journals[model, journal].setdefault(key, text) != text:
                raise LedgerConflictError(f"{model}: another writer took {journal} entry {key}")

    def journal_run(self, model: str, journal: str) -> str | None:  # noqa: ARG002 - no run holds a journal here
        return None

    def aliases(self, model: str) -> dict[Stage, str]:
        return dict(self._aliases[model])

    def project(self, model: str, stages: Mapping[Stage, str]) -> None:
        self._aliases[model] = dict(stages)

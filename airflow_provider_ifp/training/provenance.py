"""What made a version, as one record: the parts that the task itself sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.code.git import dirty_patch, git_facts
from airflow_provider_ifp.core.digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_provider_ifp.adapters.code.entrypoint import SourceCode
    from airflow_provider_ifp.core.windows import Window

FORMAT = "ifp.provenance/1"
PATCH = "ifp/dirty.patch"


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """Where the code stands: `facts` for provenance, and the `patch` to its commit where they differ."""

    facts: dict[str, Any]
    patch: bytes | None

    @property
    def files(self) -> dict[str, bytes]:
        """The patch, as a file of the training run."""
        return {PATCH: self.patch} if self.patch else {}


def record_code(source: SourceCode) -> CodeRecord:
    """The entrypoint, its files' digest, the commit that they stand at, and what differs from it."""
    facts = {
        "entrypoint": source.entrypoint,
        "source_digest": source.digest,
        "files": sorted(source.files),
        "installed": source.installed,
    }
    if source.installed:
        return CodeRecord({**facts, "commit": None}, None)
    return _with_patch(facts, source.root, source.files)


def record_loose_code(folder: Path) -> CodeRecord:
    """What can be said of a run that nobody launched: the commit of the folder that it runs in."""
    return _with_patch({"entrypoint": None, "source_digest": None, "files": []}, folder, ())


def _with_patch(facts: dict[str, Any], root: Path, files: Iterable[str]) -> CodeRecord:
    found = git_facts(root, files)
    patch = dirty_patch(root, files) if found["commit"] else None
    return CodeRecord({**facts, **found, "patch_digest": digest_bytes(patch) if patch else None}, patch)


def window_facts(window: Window) -> dict[str, Any]:
    """A window's bounds, ISO 8601 in UTC; a start of None is the beginning of the data."""
    return {"start": window.start.isoformat() if window.start else None, "end": window.end.isoformat()}


def seed_facts(seed: int) -> dict[str, int]:
    """What each source of chance was seeded with, as the trainer and its launcher do it."""
    return {"python": seed, "python_hash": seed % 2**32, "numpy": seed % 2**32, "torch": seed}

"""What made a version, as one record: the parts that the task itself sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.git import git_facts

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_ifp.adapters.source_code import SourceCode
    from airflow_provider_ifp.core.windows import Window

FORMAT = "ifp.provenance/1"


def code_facts(source: SourceCode) -> dict[str, Any]:
    """The entrypoint, its files' digest, and the commit that they stand at."""
    return {
        "entrypoint": source.entrypoint,
        "source_digest": source.digest,
        "files": sorted(source.files),
        "installed": source.installed,
        **({"commit": None} if source.installed else git_facts(source.root, source.files)),
    }


def loose_code_facts(folder: Path) -> dict[str, Any]:
    """What can be said of a run that nobody launched: the commit of the folder that it runs in."""
    return {"entrypoint": None, "source_digest": None, "files": [], **git_facts(folder)}


def window_facts(window: Window) -> dict[str, Any]:
    """A window's bounds, ISO 8601 in UTC; a start of None is the beginning of the data."""
    return {"start": window.start.isoformat() if window.start else None, "end": window.end.isoformat()}


def seed_facts(seed: int) -> dict[str, int]:
    """What each source of chance was seeded with, as the trainer and its launcher do it."""
    return {"python": seed, "python_hash": seed % 2**32, "numpy": seed % 2**32, "torch": seed}

"""What made a version, as one record; and the build key.

The build key is the digest of all of it that determines the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.source_code import git_facts
from airflow_provider_ifp.core.digest import digest_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_ifp.adapters.source_code import SourceCode

FORMAT = "ifp.provenance/1"


def code_facts(source: SourceCode) -> dict[str, Any]:
    """The entrypoint, its files' digest, and the commit that they stand at."""
    return {
        "entrypoint": source.entrypoint,
        "source_digest": source.digest,
        "files": sorted(source.files),
        **({"commit": None} if source.installed else git_facts(source.root)),
    }


def loose_code_facts(folder: Path) -> dict[str, Any]:
    """What can be said of a run that nobody launched: the commit of the folder that it runs in."""
    return {"entrypoint": None, "source_digest": None, "files": [], **git_facts(folder)}


def build_key(determinants: Mapping[str, Any]) -> str:
    """The digest of all that determines a training's result.

    Args:
        determinants: code, entrypoint, data digest, label, positive, features, categorical, params, seed,
            environment, device class, launcher, processes.
    """
    return digest_json({"format": "ifp.build-key/1", **determinants})

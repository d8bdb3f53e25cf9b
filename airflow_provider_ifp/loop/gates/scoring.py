"""What versions answer to rows, each from the registry alone and in a process of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.loop.gates.judging import to_answers
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.scorer import score

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.metrics.answers import Answers
    from airflow_provider_ifp.training.scorer import Scored


def score_each(
    registry: Registry,
    versions: Iterable[ModelVersion],
    table: pa.Table,
    features: list[str],
    *,
    timeout: float | None = None,
    layers: Path | None = None,
) -> dict[str, Scored]:
    """Answer the same rows with each version, or say why it did not.

    Each comes from the registry alone, verified, and answers in a process of its own, with the packages that
    it asks for (`layers`: where those are kept that are not installed here; None: what is installed must do).

    Returns:
        Version -> what came of it; a version named twice answers once.

    Raises:
        DigestMismatchError: stored files are not those that were registered.
    """
    distinct = {version.version: version for version in versions}
    with tempfile.TemporaryDirectory(prefix="ifp-score-") as scratch:
        folders = [Path(scratch, f"version-{number}") for number in distinct]
        for version, folder in zip(distinct.values(), folders, strict=True):
            fetch(registry, version, folder)
        scored = score(folders, table.select(features), Path(scratch), timeout=timeout, layers=layers)
    return dict(zip(distinct, scored, strict=True))


def score_versions(
    registry: Registry,
    versions: Iterable[ModelVersion],
    table: pa.Table,
    features: list[str],
    *,
    layers: Path | None = None,
) -> dict[str, Answers]:
    """Answer the same rows with each version; as `score_each`, but all must answer.

    Raises:
        ModelError: a version does not load, or raises.
    """
    scored = score_each(registry, versions, table, features, layers=layers)
    return {number: to_answers(one.require(f"version {number}")) for number, one in scored.items()}

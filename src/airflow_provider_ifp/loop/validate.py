"""The gates: candidate and production score the same holdout now, the verdict is recorded, then it counts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.adapters.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.ledger import read_ledger
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.gates import judge
from airflow_provider_ifp.core.metrics import Answers
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.labelled import labelled_columns, read_labelled
from airflow_provider_ifp.loop.reference import ANSWERS, profile_answers, write_profile
from airflow_provider_ifp.loop.verdicts import record_verdict
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.scorer import score

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_ifp.adapters.registry import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sources import Connect
    from airflow_provider_ifp.core.moves import Attempt
    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.verdict import Verdict


def validate(
    registry: Registry,
    policy: Policy,
    version: str,
    *,
    now: datetime,
    attempt: Attempt,
    connect: Connect | None = None,
) -> Verdict:
    """Judge a candidate, and record the verdict before anybody acts on it.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy; its `validation` holds the bounds and the comparison.
        version: The candidate.
        now: The time of the run, UTC; the holdout is the same for candidate and production.
        attempt: Who asks; its nonce makes a retry find the verdict's event again.
        connect: Gives the engine of a `data.source` by conn_id; None: by the environment.

    Returns:
        The verdict; `ifp/validation.json` and `ifp/report.html` of the candidate's run hold it, and the
        ledger its digest. `ifp/prediction_profile.json` holds what the candidate answered,
        and by how much that was wrong.

    Raises:
        DatasetError: the holdout is missing or lacks a column.
        DigestMismatchError: stored files of either version are not those that were registered.
        ModelError: a version does not load, or raises.
    """
    candidate = registry.version(policy.model, version)
    ledger = read_ledger(registry, policy.model)
    production = registry.version(policy.model, ledger.production) if ledger.production else None
    data = policy.data
    window = training_windows(now, data.train_window, data.holdout_window, data.label_delay).holdout
    dataset = open_source(policy, connect)
    columns = labelled_columns(policy, dataset)
    holdout = read_labelled(policy, dataset, window, columns)
    judged = [candidate, *([production] if production else [])]
    answers = score_versions(registry, judged, holdout, columns.features)
    rules = policy.validation
    verdict = judge(
        y_true=holdout[str(data.label)].to_numpy(),
        candidate=answers[version],
        production=answers[production.version] if production else None,
        bounds=rules.bounds,
        metric=rules.compared_metric,
        compare_to=rules.compare_to,
        tolerance=rules.tolerance,
        confidence=rules.confidence,
        min_rows=rules.min_rows,
        mode=rules.mode,
        positive=data.positive,
        model=policy.model,
        version=version,
        content_digest=candidate.content_digest,
        compared_to=production.version if production else None,
        holdout_digest=fingerprint_table(holdout).digest,
        policy_digest=policy.digest(),
        rng=np.random.default_rng(policy.train.seed if policy.train else 0),
    )
    answered = profile_answers(answers[version], holdout[str(data.label)])
    registry.put_file(candidate.run_id, ANSWERS, write_profile(answered))
    record_verdict(registry, candidate, verdict, attempt)
    return verdict


def score_versions(
    registry: Registry, versions: Iterable[ModelVersion], table: pa.Table, features: list[str]
) -> dict[str, Answers]:
    """Answer the same rows with each version.

    Each comes from the registry alone, verified, and answers in a process of its own.

    Returns:
        Version -> what it answered; a version named twice answers once.
    """
    distinct = {version.version: version for version in versions}
    with tempfile.TemporaryDirectory(prefix="ifp-score-") as scratch:
        folders = [Path(scratch, f"version-{number}") for number in distinct]
        for version, folder in zip(distinct.values(), folders, strict=True):
            fetch(registry, version, folder)
        answered = score(folders, table.select(features), Path(scratch))
    return {number: to_answers(entry) for number, entry in zip(distinct, answered, strict=True)}


def to_answers(table: pa.Table) -> Answers:
    """A scorer's table as the arrays that metrics take."""
    return Answers(
        prediction=_values(table["prediction"]),
        score=_values(table["score"]) if "score" in table.column_names else None,
    )


def _values(column: pa.ChunkedArray) -> Any:
    """One value a row, or one row of values a row (a probability for each class)."""
    import pyarrow as pa

    if pa.types.is_list(column.type):
        return np.array(column.to_pylist())
    return column.to_numpy()

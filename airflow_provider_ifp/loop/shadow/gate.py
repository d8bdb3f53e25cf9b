"""The shadow gate: the candidate answers production's requests; the verdict is recorded, then it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.log.files import has_log
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.shadow.gate import Shadowed, judge_shadow
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.gates.verdicts import record_verdict
from airflow_provider_ifp.loop.labelled import Columns, labelled_columns, read_labelled
from airflow_provider_ifp.loop.registry.recorded import read_provenance, read_rows, require_enough, to_window
from airflow_provider_ifp.loop.shadow.log import Log
from airflow_provider_ifp.loop.shadow.mirrored import Traffic, compare_mirrored, count_mirrored
from airflow_provider_ifp.loop.shadow.replay import replay_requests

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.policy.sections import ShadowSection
    from airflow_provider_ifp.core.registry.moves import Attempt
    from airflow_provider_ifp.core.registry.verdict import Verdict
    from airflow_provider_ifp.core.windows import Window


def shadow(
    registry: Registry,
    policy: Policy,
    version: str,
    *,
    now: datetime,
    attempt: Attempt,
    predictions: str | None = None,
    connect: Connect | None = None,
    layers: Path | None = None,
) -> Verdict:
    """Judge a candidate by production's requests, and record the verdict before anybody acts on it.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy; its `shadow` holds the limits, `validation.mode` whether they stop.
        version: The candidate.
        now: The time of the run, UTC; holdout as of the validation gate.
        attempt: Who asks; its nonce makes a retry find the verdict's event again.
        predictions: Root of the prediction log, where the policy names none.
        connect: Gives the engine of a `data.source` by conn_id; None: by the environment.
        layers: As of `training.layers.version_environment`.

    Returns:
        The verdict; `ifp/shadow.json` and `ifp/shadow.html` of the candidate's run hold it, and the ledger
        its digest.

    Raises:
        DatasetError: the holdout or the log is missing, or lacks a column.
        DigestMismatchError: stored files of either version are not those that were registered.
        ModelError: a version does not load, or answers in another shape.
        PolicyError: the policy's shadow is off, or names a slice that is no feature.
    """
    if policy.shadow.mode == "off":
        raise PolicyError(
            f"{policy.model}: shadow.mode is off; set it to replay or live to judge by requests"
        )
    candidate = registry.version(policy.model, version)
    production = read_ledger(registry, policy.model).production
    dataset = open_source(policy, connect)
    columns, period = labelled_columns(policy, dataset), _period(policy, now)
    verdict = judge_against(
        registry,
        candidate,
        registry.version(policy.model, production) if production is not None else None,
        Log(policy.log_root(predictions), policy.model, tuple(columns.features)) if production else None,
        holdout=HoldoutRows(read_labelled(policy, dataset, period, columns), columns, period),
        terms=Terms(policy.shadow, policy.validation.mode, policy.digest(), now, layers),
    )
    record_verdict(registry, candidate, verdict, attempt)
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutRows:
    """What the gates have judged with labels: the rows, their columns, and the window that they are of."""

    rows: pa.Table
    columns: Columns
    period: Window


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a candidate is judged.

    Attributes:
        rules: The limits.
        mode: Whether they stop anything.
        policy_digest: Where they stand.
        now: The time of the run, UTC.
        layers: Where packages are kept that a version asks for and that are not installed here.
    """

    rules: ShadowSection
    mode: Literal["enforce", "dry_run"]
    policy_digest: str
    now: datetime
    layers: Path | None = None


def judge_against(
    registry: Registry,
    candidate: ModelVersion,
    production: ModelVersion | None,
    log: Log | None,
    *,
    holdout: HoldoutRows,
    terms: Terms,
) -> Verdict:
    """Judge a candidate against a version by production's requests; nothing is recorded in the registry.

    Args:
        registry: Where the versions are.
        candidate: Who is judged.
        production: What it is compared with; None: there is none.
        log: Where the requests are; None where there is no production.
        holdout: What the gates have judged.
        terms: By what.

    Raises:
        IfpError: as `shadow`.
    """
    evidence: Shadowed | None = None
    if production is not None and log is not None:
        gather = compare_mirrored if terms.rules.mode == "live" else replay_requests
        evidence = gather(
            registry,
            (candidate, production),
            log,
            holdout=holdout.rows,
            period=holdout.period,
            now=terms.now,
            columns=holdout.columns,
            rules=terms.rules,
            layers=terms.layers,
        )
    return judge_shadow(
        evidence,
        terms.rules,
        mode=terms.mode,
        subject=Subject(
            model=candidate.model,
            version=candidate.version,
            content_digest=candidate.content_digest,
            compared_to=production.version if production is not None else None,
            holdout_digest=fingerprint_table(holdout.rows).digest,
            policy_digest=terms.policy_digest,
        ),
        rng=np.random.default_rng(0),
    )


def recorded_holdout(registry: Registry, version: ModelVersion) -> HoldoutRows:
    """The holdout of a version's training, read again from where its record says that it is.

    Raises:
        ReproductionError: nothing is on record, or too little.
        DigestMismatchError: the record is not the one that was registered.
        DatasetError: the rows are gone.
    """
    facts = read_provenance(registry, version)
    require_enough(facts)
    data, period = facts["data"][0], to_window(facts["holdout"]["window"])
    columns = Columns(list(data["columns"]), list(data["features"]), list(data["categorical"]))
    return HoldoutRows(read_rows(data, period), columns, period)


def look_at_traffic(
    registry: Registry, policy: Policy, version: str, *, now: datetime, predictions: str | None = None
) -> tuple[Traffic, bool]:
    """How much was mirrored to a candidate, and whether the gate can decide; without production it can.

    Args:
        registry: Where the ledger is.
        policy: As of `shadow`.
        version: The candidate.
        now: The time of the run; pairs from the holdout's beginning on count.
        predictions: As of `shadow`.

    Raises:
        PredictionLogError: the log cannot be read.
        RegistryError: the registry does not answer.
    """
    production = read_ledger(registry, policy.model).production
    if production is None:
        return Traffic(0, timedelta(0)), True
    log = Log(policy.log_root(predictions), policy.model, ())
    if not has_log(log.root, log.model):
        return Traffic(0, timedelta(0)), False
    traffic = count_mirrored(log, (version, production), _period(policy, now))
    return traffic, traffic.is_enough(policy.shadow)


def _period(policy: Policy, now: datetime) -> Window:
    data = policy.data
    return training_windows(now, data.train_window, data.holdout_window, data.label_delay).holdout

"""The shadow gate: the candidate answers production's requests; the verdict is recorded, then it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_ifp.adapters.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.ledger import read_ledger
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.shadow import Evidence, Identity, judge_shadow
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.check import log_root
from airflow_provider_ifp.loop.labelled import labelled_columns, read_labelled
from airflow_provider_ifp.loop.mirrored import Traffic, compare_mirrored, count_mirrored
from airflow_provider_ifp.loop.replay import replay_requests
from airflow_provider_ifp.loop.shadow_log import Log
from airflow_provider_ifp.loop.verdicts import record_verdict

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_ifp.adapters.registry import Registry
    from airflow_provider_ifp.adapters.sources import Connect
    from airflow_provider_ifp.core.moves import Attempt
    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.verdict import Verdict
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

    Returns:
        The verdict; `ifp/shadow.json` and `ifp/shadow.html` of the candidate's run hold it, and the ledger
        its digest.

    Raises:
        DatasetError: the holdout or the log is missing, or lacks a column.
        DigestMismatchError: stored files of either version are not those that were registered.
        ModelError: a version does not load, or answers in another shape.
    """
    candidate = registry.version(policy.model, version)
    production = read_ledger(registry, policy.model).production
    verdict = judge_against(
        registry, policy, version, production, now=now, predictions=predictions, connect=connect
    )
    record_verdict(registry, candidate, verdict, attempt)
    return verdict


def judge_against(
    registry: Registry,
    policy: Policy,
    version: str,
    production: str | None,
    *,
    now: datetime,
    predictions: str | None = None,
    connect: Connect | None = None,
) -> Verdict:
    """Judge a candidate against a version by production's requests; nothing is recorded in the registry.

    Args:
        registry: Where the versions are.
        policy: As of `shadow`.
        version: The candidate.
        production: The version that it is compared with; None: there is none.
        now: As of `shadow`.
        predictions: As of `shadow`.
        connect: As of `shadow`.

    Raises:
        IfpError: as `shadow`.
    """
    if policy.shadow.mode == "off":
        raise PolicyError(
            f"{policy.model}: shadow.mode is off; set it to replay or live to judge by requests"
        )
    candidate = registry.version(policy.model, version)
    period = _period(policy, now)
    dataset = open_source(policy, connect)
    columns = labelled_columns(policy, dataset)
    holdout = read_labelled(policy, dataset, period, columns)
    evidence: Evidence | None = None
    if production is not None:
        log = Log(log_root(policy, predictions), policy.model, tuple(columns.features))
        gather = compare_mirrored if policy.shadow.mode == "live" else replay_requests
        evidence = gather(
            registry,
            (candidate, registry.version(policy.model, production)),
            log,
            holdout=holdout,
            period=period,
            now=now,
            columns=columns,
            rules=policy.shadow,
        )
    return judge_shadow(
        evidence,
        policy.shadow,
        mode=policy.validation.mode,
        identity=Identity(
            model=policy.model,
            version=version,
            content_digest=candidate.content_digest,
            compared_to=production,
            holdout_digest=fingerprint_table(holdout).digest,
            policy_digest=policy.digest(),
        ),
        rng=np.random.default_rng(policy.train.seed if policy.train else 0),
    )


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
        PredictionLogError: no log of this model, or one that cannot be read.
        RegistryError: the registry does not answer.
    """
    production = read_ledger(registry, policy.model).production
    if production is None:
        return Traffic(0, timedelta(0)), True
    log = Log(log_root(policy, predictions), policy.model, ())
    traffic = count_mirrored(log, (version, production), _period(policy, now))
    return traffic, traffic.is_enough(policy.shadow)


def _period(policy: Policy, now: datetime) -> Window:
    data = policy.data
    return training_windows(now, data.train_window, data.holdout_window, data.label_delay).holdout

"""The gates: candidate and production score the same holdout now, the verdict is recorded, then it counts."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.core.gates.evidence import Evidence, drifted_features, plot_of
from airflow_provider_ifp.core.gates.judge import judge, refuse
from airflow_provider_ifp.core.gates.slices import unseen_slices
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.registry.verdict import Check
from airflow_provider_ifp.loop.drift.reference import ANSWERS, profile_answers, write_profile
from airflow_provider_ifp.loop.drift.report import RECORD as DRIFT_RECORD
from airflow_provider_ifp.loop.gates.holdout import count_traffic, read_holdout
from airflow_provider_ifp.loop.gates.judging import measures_of, to_answers, to_rows
from airflow_provider_ifp.loop.gates.leakage import find_leakage
from airflow_provider_ifp.loop.gates.scoring import score_each
from airflow_provider_ifp.loop.gates.verdicts import record_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.metrics.answers import Answers
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.policy.validation import ValidationSection
    from airflow_provider_ifp.core.registry.moves import Attempt
    from airflow_provider_ifp.core.registry.verdict import Verdict
    from airflow_provider_ifp.training.scorer import Scored

log = logging.getLogger(__name__)


def validate(
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
    """Judge a candidate, and record the verdict before anybody acts on it.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy; its `validation` holds the bounds and the comparison.
        version: The candidate.
        now: The time of the run, UTC; the holdout is the same for candidate and production.
        attempt: Who asks; its nonce makes a retry find the verdict's event again.
        predictions: Root of the prediction log where the policy names none; its slices that the holdout
            lacks are named.
        connect: Gives the engine of a `data.source` by conn_id; None: by the environment.
        layers: Where packages are kept that a version asks for and that are not installed here; None: it
            answers with what is installed.

    Returns:
        The verdict; `ifp/validation.json` and `ifp/validation.html` of the candidate's run hold it, and the
        ledger its digest. `ifp/prediction_profile.json` holds what the candidate answered,
        and by how much that was wrong.

    Raises:
        DatasetError: the holdout is missing or lacks a column.
        DigestMismatchError: stored files of either version are not those that were registered.
        PolicyError: an own metric does not import.
    """
    candidate = registry.version(policy.model, version)
    ledger = read_ledger(registry, policy.model)
    production = registry.version(policy.model, ledger.production) if ledger.production else None
    rules = policy.validation
    measures = measures_of(policy)
    holdout = read_holdout(policy, now, connect)
    subject = Subject(
        model=policy.model,
        version=version,
        content_digest=candidate.content_digest,
        compared_to=production.version if production else None,
        holdout_digest=fingerprint_table(holdout.table).digest,
        policy_digest=policy.digest(),
    )
    judged = {"the candidate": candidate}
    if production is not None and production.version != version:
        judged[f"production version {production.version}"] = production
    broken, warnings = find_leakage(registry, judged, holdout, policy.data.key or (), connect)
    root = policy.watch.predictions or predictions
    traffic = count_traffic(policy, root and policy.resolve(root), now, rules.slices)
    warnings = (*warnings, *unseen_slices(traffic, holdout.slices))
    scored = score_each(
        registry,
        [candidate, *([production] if production else [])],
        holdout.table,
        holdout.features,
        timeout=rules.infrastructure.timeout.total_seconds(),
        layers=layers,
    )
    broken = (*broken, *_infrastructure(scored[version], rules))
    evidence = Evidence()
    if scored[version].answers is None:
        verdict = refuse(broken, rules, subject, warnings)
    else:
        answers = to_answers(scored[version].require(version))
        of_production = _answers_of(production, scored)
        rows = to_rows(policy, holdout.table, str(policy.data.label), answers, of_production)
        verdict = judge(
            rows, rules, subject, measures, slices=holdout.slices, before=broken, warnings=warnings
        )
        answered = profile_answers(answers, holdout.table[str(policy.data.label)])
        registry.put_file(candidate.run_id, ANSWERS, write_profile(answered))
        evidence = plot_of(rows, policy.data.positive)
    drifted, when = drifted_features(_newest_check(registry, production))
    evidence = replace(evidence, drifted=drifted, drift_window=when)
    record_verdict(registry, candidate, verdict, attempt, evidence)
    return verdict


def _newest_check(registry: Registry, production: ModelVersion | None) -> dict[str, Any] | None:
    """The record of production's newest drift check, where one was written."""
    content = registry.get_file(production.run_id, DRIFT_RECORD) if production else None
    return None if content is None else json.loads(content)


def _infrastructure(scored: Scored, rules: ValidationSection) -> tuple[Check, ...]:
    """What keeps a version from being served, however good its answers are."""
    problems = [f"the candidate cannot serve: {scored.problem}"] if scored.problem else []
    limit = rules.infrastructure.max_memory_mb
    if scored.facts is not None and limit is not None and scored.facts.peak_mb > limit:
        problems.append(
            f"the candidate took {scored.facts.peak_mb:,.0f} MB of memory, over "
            f"validation.infrastructure.max_memory_mb = {limit:,}"
        )
    return tuple(Check(name="infrastructure", verdict="fail", reason=problem) for problem in problems)


def _answers_of(production: ModelVersion | None, scored: Mapping[str, Scored]) -> Answers | None:
    """What production answered; None where it did not, which the comparison then says."""
    if production is None:
        return None
    found = scored[production.version]
    if found.answers is None:
        log.warning("production version %s did not answer: %s", production.version, found.problem)
        return None
    return to_answers(found.answers)

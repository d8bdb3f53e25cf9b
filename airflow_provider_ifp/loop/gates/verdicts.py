"""A gate's verdict on record: the candidate's run, then the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.adapters.registry.ledger import record
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.registry.moves import plan_judgement
from airflow_provider_ifp.report.verdict import NOTHING, verdict_page

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.gates.evidence import Evidence
    from airflow_provider_ifp.core.registry.moves import Attempt
    from airflow_provider_ifp.core.registry.verdict import Verdict

REPORT: Final = "ifp/report.html"
"""The page of a version's newest verdict, in its training run."""
PAGES: Final = {"validation": "ifp/validation.html", "shadow": "ifp/shadow.html"}
"""The page of each gate's newest verdict: the link of a task must not show what a later gate said."""


def record_verdict(
    registry: Registry,
    candidate: ModelVersion,
    verdict: Verdict,
    attempt: Attempt,
    evidence: Evidence = NOTHING,
) -> None:
    """Write the verdict to the candidate's run, then its event to the ledger."""
    record_json = verdict.to_json()
    content = json.dumps(record_json, indent=1).encode()
    page = verdict_page(record_json, evidence).encode()
    registry.put_file(candidate.run_id, f"ifp/{verdict.gate}.json", content)
    registry.put_file(candidate.run_id, PAGES[verdict.gate], page)
    registry.put_file(candidate.run_id, REPORT, page)
    digest = digest_json(record_json)
    # A retry finds its own event again; another verdict of a task that somebody cleared is another event.
    attempt = replace(attempt, nonce=digest_json([attempt.nonce, digest]))
    record(
        registry,
        candidate.model,
        lambda ledger: plan_judgement(
            ledger,
            attempt,
            version=candidate.version,
            verdict=verdict.verdict,
            promotes=verdict.promotes,
            verdict_digest=digest,
        ),
    )

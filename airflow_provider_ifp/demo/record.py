"""What a run of the demo is remembered by: every number from the registry, the log, and Airflow's XComs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.registry.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.demo.client import Asked
    from airflow_provider_ifp.demo.dag_run import LoopRun
    from airflow_provider_ifp.demo.traffic import Served


def month_record(month: str, run: LoopRun, served: Served) -> dict[str, Any]:
    """A month that production answered, with the check as of its end (contract, section 7).

    >>> from airflow_provider_ifp.demo.dag_run import LoopRun
    >>> from airflow_provider_ifp.demo.traffic import Served
    >>> drift = {"fired": False, "reasons": ["no drift"], "features": [{"name": "dow", "psi": 0.019}]}
    >>> quiet = LoopRun(as_of="2013-04-01", seconds=9.0, drift=drift, train=None, verdict=None, shadow=None)
    >>> record = month_record("2013-03", quiet, Served(version="1", rows=9, error=12.3, first_error=12.3))
    >>> record["month"], record["feature"], record["fired"], record["version"]
    ('2013-03', 'dow', False, '1')
    """
    largest = run.largest or {"psi": None, "name": None}
    return {
        "month": month,
        "as_of": run.as_of,
        "psi": largest["psi"],
        "feature": largest["name"],
        "fired": run.drift["fired"],
        "reason": run.reason,
        "version": served.version,
        "rmse": served.error,
        "rmse_first": served.first_error,
        "rows": served.rows,
    }


def run_record(run: LoopRun, swap: Asked | None) -> dict[str, Any]:
    """One run of the loop's Dag, and what users saw of a swap."""
    return {
        "as_of": run.as_of,
        "fired": run.drift["fired"],
        "reason": run.reason,
        "version": run.version,
        "verdict": dict(run.verdict) if run.verdict else None,
        "shadow": dict(run.shadow) if run.shadow else None,
        "swap": _swap_record(swap) if swap else None,
        "seconds": round(run.seconds, 1),
    }


def _swap_record(swap: Asked) -> dict[str, Any]:
    return {
        "answered": swap.answered,
        "failed": len(swap.failed),
        "slowest_ms": round(swap.slowest * 1000, 1),
    }


def version_records(registry: Registry, model: str) -> list[dict[str, Any]]:
    """Every version of the model, with what it was trained on."""
    ledger = read_ledger(registry, model)
    return [
        {
            "version": version.version,
            "stage": ledger.stage_of(version.version),
            "content_digest": version.content_digest,
            "created": datetime.fromtimestamp(version.created / 1000, UTC).isoformat(timespec="seconds"),
            **_trained_on(_data_facts(registry, version)),
        }
        for version in registry.versions(model)
    ]


def _data_facts(registry: Registry, version: ModelVersion) -> Sequence[dict[str, Any]]:
    content = registry.get_file(version.run_id, "ifp/provenance.json")
    facts: list[dict[str, Any]] = json.loads(content)["data"] if content else []
    return facts


def _trained_on(data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not data:
        return {"data_rows": None, "data_start": None, "data_end": None}
    return {"data_rows": data[0]["rows"], "data_start": data[0]["start"], "data_end": data[0]["end"]}

"""The report of a check, kept with the version that was in production."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.report.drift import drift_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry

log = logging.getLogger(__name__)

RECORD: Final = "ifp/drift.json"
PAGE: Final = "ifp/drift.html"


def log_drift(registry: Registry, version: ModelVersion, record: Mapping[str, Any]) -> str | None:
    """Write the newest check's record and page to the version's run, and keep the page of one that drifted.

    A report that cannot be written is warned of: the check's answer does not hang on it.

    Returns:
        Where a person sees the page; None where there are no pages.
    """
    try:
        page = drift_page(record).encode()
        registry.put_file(version.run_id, RECORD, json.dumps(record, separators=(",", ":")).encode())
        registry.put_file(version.run_id, PAGE, page)
        path = PAGE
        if record["drifted"]:
            path = kept_page(record["window"]["end"])
            registry.put_file(version.run_id, path, page)
        return registry.file_address(version.run_id, path)
    except IfpError as error:
        log.warning("%s: the drift report was not written: %s", version.model, error)
        return None


def kept_page(end: str) -> str:
    """Where the page of a window that drifted stays, by the window's end.

    >>> kept_page("2013-07-01T00:00:00+00:00")
    'ifp/drift/2013-07-01T00-00-00Z.html'
    """
    return f"ifp/drift/{end.replace('+00:00', 'Z').replace(':', '-')}.html"

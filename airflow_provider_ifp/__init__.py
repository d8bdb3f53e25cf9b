"""Close the ML loop on Airflow and MLflow.

Importing this package is cheap: `ifp.track`, `ifp.load` and `ifp.monitor` are loaded when touched, so that a
Dag file, a notebook and a server each pay only for what they use.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.former_names import FormerNames

if TYPE_CHECKING:
    from airflow_provider_ifp.loop.drift.monitor import monitor
    from airflow_provider_ifp.training.loading import load
    from airflow_provider_ifp.training.track import track

__version__ = "0.1.0"
__all__ = ["__version__", "load", "monitor", "track"]

_HOMES = {
    "load": "airflow_provider_ifp.training.loading",
    "monitor": "airflow_provider_ifp.loop.drift.monitor",
    "track": "airflow_provider_ifp.training.track",
}

sys.meta_path.insert(0, FormerNames)


def __getattr__(name: str) -> Any:
    """Import the module that owns `name` at first touch (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

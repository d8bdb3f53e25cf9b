"""Options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import Registry

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it nowhere else

Command = Callable[[argparse.Namespace], int]


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON, alone on stdout")


def add_registry(parser: argparse.ArgumentParser) -> None:
    """Add `--tracking-uri`, for a command that calls `open_registry`."""
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow's; else MLFLOW_TRACKING_URI, else MLflow's own default"
    )


def open_registry(options: argparse.Namespace) -> Registry:
    """The registry that `--tracking-uri` names.

    Raises:
        RegistryUnreachableError: it does not answer, or refuses the credentials.
    """
    from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry

    return MlflowRegistry(options.tracking_uri)

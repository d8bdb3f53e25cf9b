"""A real MLflow and a real Airflow on this machine: on SQLite, on 127.0.0.1, in folders of their own."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from airflow_provider_ifp.core.errors import ServiceError
from airflow_provider_ifp.demo.services import free_port, own_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_ifp.demo.services import Services

USER = "admin"
_SECONDS = 120.0
_PARTS = {
    "airflow-api-server": ("api-server",),
    "airflow-scheduler": ("scheduler",),
    "airflow-dag-processor": ("dag-processor",),
    "airflow-triggerer": ("triggerer",),
}
# Every task is a fork of the scheduler's process: what all of them need is imported once, not by each anew.
_LOCAL_SETTINGS = """\
import sys

__all__ = ()

if sys.argv[1:2] == ["scheduler"]:
    import airflow_provider_ifp.adapters.registry.mlflow.registry
    import airflow_provider_ifp.loop.train.training
    import airflow_provider_ifp.loop.gates.validate
"""


@dataclass(frozen=True, slots=True)
class AirflowAddress:
    """Where Airflow's pages are, and who may log in."""

    url: str
    user: str
    password: str


def start_mlflow(services: Services, folder: Path, port: int | None = None) -> str:
    """Start an MLflow tracking server that keeps everything in `folder`, and wait until it answers.

    Returns:
        Its tracking URI.

    Raises:
        ServiceError: it does not start.
    """
    uri = launch_mlflow(services, folder, port)
    wait_for_mlflow(services, uri)
    return uri


def launch_mlflow(
    services: Services, folder: Path, port: int | None = None, *, store: str | None = None
) -> str:
    """Start the server without waiting for it.

    Args:
        services: Holds its process.
        folder: For its artifacts, and its database.
        port: Its port; None: a free one.
        store: The URL of its database; None: SQLite in `folder`.

    Returns:
        Its tracking URI.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [
        *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store or f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    # Without its job executor the server is 2 processes instead of 15; nothing here submits jobs.
    services.start("mlflow", command, own_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"))
    return f"http://127.0.0.1:{port}"


def wait_for_mlflow(services: Services, uri: str) -> None:
    """Wait until a launched server answers.

    Raises:
        ServiceError: it does not start.
    """
    services.wait_until(
        lambda: requests.get(f"{uri}/health", timeout=5).ok, what=f"MLflow at {uri}", seconds=_SECONDS
    )


def start_server(services: Services, folder: Path, options: Sequence[str], *, uri: str, port: int) -> None:
    """Start `ifp serve` without waiting for it.

    Args:
        services: Holds its process.
        folder: For the versions that it fetches.
        options: Model and flags.
        uri: MLflow's tracking URI.
        port: Where it listens.
    """
    places = ("--cache", str(folder), "--tracking-uri", uri, "--port", str(port))
    services.start("ifp-serve", ["-m", "airflow_provider_ifp", "serve", *options, *places], own_environment())


def start_airflow(
    services: Services, folder: Path, *, dags: Path, environment: Mapping[str, str], port: int | None = None
) -> AirflowAddress:
    """Start Airflow's four processes with a database of their own, and wait until all are healthy.

    Args:
        services: Holds the processes.
        folder: Airflow's home.
        dags: The Dags folder.
        environment: More variables, such as the connection to MLflow.
        port: The pages' port; None: a free one.

    Raises:
        ServiceError: a part does not start.
    """
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS, encoding="utf-8")
    address = AirflowAddress(f"http://127.0.0.1:{port or free_port()}", USER, secrets.token_urlsafe(12))
    passwords = folder / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({address.user: address.password}), encoding="utf-8")
    settings = own_environment(**airflow_settings(folder, dags, address.url), **environment)
    migrated = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if migrated.returncode != 0:
        raise ServiceError(f"airflow db migrate failed in {folder}:\n{migrated.stdout}{migrated.stderr}")
    for name, part in _PARTS.items():
        services.start(name, ["-m", "airflow", *part], settings)
    services.wait_until(lambda: _healthy(address.url), what=f"Airflow at {address.url}", seconds=_SECONDS)
    return address


def airflow_settings(folder: Path, dags: Path, url: str) -> dict[str, str]:
    """Airflow's configuration as variables: one machine, SQLite, nothing shared with another home."""
    port = url.rpartition(":")[2]
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # SQLite takes one writer at a time: twenty tasks at once end in "database is locked".
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        # Where the pages fetch task logs from; the defaults would clash with another Airflow on this machine.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # So long may a supervisor take to see that its task has deferred. A quicker trigger resumes the task
        # before the scheduler heard of its first half, which then counts as the end of the second, and fails
        # it.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _healthy(url: str) -> bool:
    health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

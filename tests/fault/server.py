"""An MLflow server that is killed with all its processes, and comes back on its port and database."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from airflow_provider_ifp.demo.services import free_port
from airflow_provider_ifp.demo.stack import launch_mlflow, wait_for_mlflow

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_ifp.demo.services import Services


class KillableMlflow:
    """The server.

    Args:
        services: Holds its process.
        folder: For its artifacts, and its database.
        store: The URL of its database; None: SQLite in `folder`.
    """

    def __init__(self, services: Services, folder: Path, store: str | None) -> None:
        self._services = services
        self._folder = folder
        self._store = store
        self._port = free_port()
        self.kills = 0
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        launch_mlflow(self._services, self._folder, self._port, store=self._store)
        wait_for_mlflow(self._services, self.uri)

    def kill(self) -> None:
        """End its whole process group at once."""
        [service] = self._services.started
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()
        self._services.started.remove(service)
        self.kills += 1

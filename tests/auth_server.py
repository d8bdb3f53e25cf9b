"""A real MLflow server with basic auth, and its users."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from airflow_provider_ifp.demo.services import free_port, own_environment, running_services
from airflow_provider_ifp.demo.stack import wait_for_mlflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = ("admin", "the-administrators-own")
TRAINER = ("trainer", "tr4iner: p%40ss/@?#")  # ASCII: its artifact routes take no other password
READER = ("reader", "only-looks-at-things")
# Its passwords are hashed so slowly that each request would take 0.1 s without the cache.
_SETTINGS = """\
[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True)
class AuthServer:
    """Who has registered nothing yet may read what others did, unless told otherwise."""

    uri: str

    def create_user(self, name, password):
        """As the administrator."""
        self._ask("2.0/mlflow/users/create", username=name, password=password)

    def grant(self, user, permission, kind, name):
        """Give the user a permission on one thing, such as `registered_model`, as the administrator."""
        thing = {"resource_type": kind, "resource_id": name}
        self._ask("3.0/mlflow/users/permissions/grant", username=user, permission=permission, **thing)

    def _ask(self, path, **body):
        answer = requests.post(f"{self.uri}/api/{path}", json=body, auth=ADMIN, timeout=30)
        assert answer.ok, answer.text


@contextmanager
def running_auth_server(folder: Path) -> Iterator[AuthServer]:
    """Hold the server, which keeps everything in `folder`, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "basic_auth.ini"
    settings.write_text(_SETTINGS.format(folder=folder))
    server = AuthServer(f"http://127.0.0.1:{free_port()}")
    command = [
        *("-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", server.uri.rpartition(":")[2]),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = own_environment(
        MLFLOW_AUTH_CONFIG_PATH=str(settings),
        MLFLOW_AUTH_ADMIN_PASSWORD=ADMIN[1],
        MLFLOW_FLASK_SERVER_SECRET_KEY="signs its pages' forms",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )
    with running_services(folder / "logs") as services:
        services.start("mlflow", command, environment)
        wait_for_mlflow(services, server.uri)
        for name, password in (TRAINER, READER):
            server.create_user(name, password)
        yield server

"""The registry behind an Airflow connection of type `ifp_registry`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import Registry


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """Where the registry is; all None: `MLFLOW_TRACKING_URI`, else MLflow's own default."""

    uri: str | None = None
    username: str | None = None
    password: str | None = None

    def open(self) -> Registry:
        """Connect.

        Raises:
            RegistryUnreachableError: it does not answer.
            RegistryDeniedError: it refuses the credentials.
        """
        from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry

        # In the log of a task each step of MLflow's bar would stand as an error.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        return MlflowRegistry(self.uri, self.username, self.password)


class ModelRegistryHook(BaseHook):
    """The model registry of a connection: host is the MLflow tracking URI, login and password its basic auth.

    Args:
        registry_conn_id: The connection; where it does not exist, `MLFLOW_TRACKING_URI` counts.
    """

    conn_name_attr = "registry_conn_id"
    default_conn_name = "ifp_default"
    conn_type = "ifp_registry"
    hook_name = "IFP model registry (MLflow)"

    def __init__(self, registry_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.registry_conn_id = registry_conn_id

    def get_conn(self) -> Registry:
        """The registry.

        Raises:
            RegistryUnreachableError: it does not answer.
            RegistryDeniedError: it refuses the credentials.
        """
        try:
            address = _address(self.get_connection(self.registry_conn_id))
        except AirflowNotFoundException:
            address = RegistryAddress()
        return address.open()

    async def aget_address(self) -> RegistryAddress:
        """Look the connection up inside a triggerer, whose loop must not be blocked."""
        try:
            return _address(await self.aget_connection(self.registry_conn_id))
        except AirflowNotFoundException:
            return RegistryAddress()

    def test_connection(self) -> tuple[bool, str]:
        """What the button "Test" of the connection's form shows."""
        from airflow_provider_ifp.core.errors import IfpError

        try:
            return True, f"MLflow at {self.get_conn().uri} answers"
        except IfpError as error:
            return False, str(error)


def _address(connection: Any) -> RegistryAddress:
    host = connection.host
    if host and "://" not in host:
        port = f":{connection.port}" if connection.port else ""
        host = f"{connection.schema or 'http'}://{host}{port}"
    return RegistryAddress(host or None, connection.login, connection.password)

"""A model's server that several tests of a file share."""

import uuid

import pytest
from tests.shop import Proxy, Shop, habitual

from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.demo.services import free_port, running_services


@pytest.fixture(scope="module")
def shop(mlflow_uri, mlflow_folder, mlflow_models, tmp_path_factory):
    """A server with version 1 in production, which answers three times the price."""
    folder = tmp_path_factory.mktemp("shop")
    proxy = Proxy(int(mlflow_uri.rpartition(":")[2]), free_port())
    proxy.open()
    with running_services(folder / "logs") as services:
        model, registry = f"shop-{uuid.uuid4().hex[:8]}", MlflowRegistry(mlflow_uri)
        shop = Shop(model, registry, mlflow_folder / "artifacts", folder, proxy, services)
        shop.promote(shop.add(habitual(3.0, str(shop.kills))), "production")
        shop.start("--mirror", "--trust-request-time")
        yield shop
    proxy.close()

"""Training on an NVIDIA GPU: `make test-gpu`, on a machine that has one."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_ifp.adapters.launchers import LocalLauncher
from airflow_provider_ifp.adapters.memory_registry import MemoryRegistry
from airflow_provider_ifp.adapters.policy_files import load_policy
from airflow_provider_ifp.core.moves import Attempt
from airflow_provider_ifp.demo.flights import model_rows, read_flights, write_month
from airflow_provider_ifp.loop.train import Order, train
from airflow_provider_ifp.loop.validate import validate

POLICY = Path(__file__).parents[2] / "dags" / "policies" / "flight-time.yaml"
NOW = datetime(2013, 3, 1, tzinfo=UTC)


def has_gpu():
    import torch

    return torch.cuda.is_available()


@pytest.mark.gpu
def test_the_demos_model_trains_on_the_gpu_and_passes_its_gate(tmp_path, monkeypatch, record_property):
    if not has_gpu():
        pytest.skip("no NVIDIA GPU: torch.cuda.is_available() is false")
    monkeypatch.setenv("IFP_DEMO_HOME", str(tmp_path))
    rows = model_rows(read_flights())
    for month in ("2013-01", "2013-02"):
        write_month(rows, tmp_path / "flights", month)
    registry, policy = MemoryRegistry(), load_policy(POLICY)
    order = Order(
        policy=policy, now=NOW, work=tmp_path / "work", checkpoints=tmp_path / "checkpoints", nonce="gpu"
    )
    made = train(registry, order, LocalLauncher())
    provenance = json.loads(registry.get_file(made["run_id"], "ifp/provenance.json"))
    record_property("gpus", provenance["hardware"]["gpus"])
    record_property("seconds", provenance["seconds"])
    assert provenance["device"] == "cuda"
    assert provenance["hardware"]["gpus"]
    attempt = Attempt(actor="test", time=NOW.isoformat(), nonce="gate")
    verdict = validate(registry, policy, made["version"], now=NOW, attempt=attempt)
    assert verdict.verdict == "pass", verdict.reason
    registry.close()

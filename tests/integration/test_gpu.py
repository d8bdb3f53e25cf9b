"""Training on an NVIDIA GPU: `make test-gpu`, on a machine that has one."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from airflow_provider_ifp.adapters.code.environment import device_class
from airflow_provider_ifp.adapters.data.datasets import read_window
from airflow_provider_ifp.adapters.launch.local import LocalLauncher
from airflow_provider_ifp.adapters.policy.files import load_policy
from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.core.registry.moves import Attempt
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.demo.flights import model_rows, read_flights, write_month
from airflow_provider_ifp.loop.gates.scoring import score_versions
from airflow_provider_ifp.loop.gates.validate import validate
from airflow_provider_ifp.loop.train.reproduce import reproduce
from airflow_provider_ifp.loop.train.training import Order, train

POLICY = Path(__file__).parents[2] / "dags" / "policies" / "flight-time.yaml"
NOW = datetime(2013, 3, 1, tzinfo=UTC)
A_GIB = 2**30
HOLDS_MEMORY = """\
import time

import torch


def train(run):
    held = torch.ones(2**30, dtype=torch.uint8, device=run.device)
    run.log_metric("sum", float(held[:100].sum()))
    time.sleep(600)
"""


def has_gpu():
    import torch

    return torch.cuda.is_available()


def free_memory():
    """Bytes free on the GPU, as its driver says, so that this process makes no context of its own."""
    query = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
    return int(done.stdout.splitlines()[0]) * 2**20


@pytest.fixture
def gpu():
    if not has_gpu():
        pytest.skip("no NVIDIA GPU: torch.cuda.is_available() is false")


@pytest.fixture
def home(gpu, tmp_path, monkeypatch):
    """A home of the demo with two months of flights."""
    monkeypatch.setenv("IFP_DEMO_HOME", str(tmp_path))
    rows = model_rows(read_flights())
    for month in ("2013-01", "2013-02"):
        write_month(rows, tmp_path / "flights", month)
    return tmp_path


@pytest.fixture
def registry():
    held = MemoryRegistry()
    yield held
    held.close()


def flight_time(**changes):
    policy = load_policy(POLICY)
    return policy.model_copy(update={"train": policy.train.model_copy(update=changes)})


def train_on(registry, policy, home, nonce):
    order = Order(
        policy=policy,
        now=NOW,
        work=home / "work",
        checkpoints=home / "checkpoints",
        owner=nonce,
        nonce=nonce,
    )
    return train(registry, order, LocalLauncher())


def provenance_of(registry, made):
    return json.loads(registry.get_file(made["run_id"], "ifp/provenance.json"))


@pytest.mark.gpu
def test_the_demos_model_trains_on_the_gpu_and_passes_its_gate(home, registry, record_property):
    policy = flight_time()
    made = train_on(registry, policy, home, "gpu")
    provenance = provenance_of(registry, made)
    record_property("gpus", provenance["hardware"]["gpus"])
    record_property("seconds", provenance["durations"]["train"])
    assert provenance["device"] == "cuda"
    assert provenance["hardware"]["gpus"]
    assert provenance["build"]["device"] == device_class() == f"cuda: {provenance['hardware']['gpus'][0]}"
    known = provenance["determinism"]
    assert known["cuda"]
    assert known["cudnn"]
    assert known["tf32"]["matmul"] is False
    attempt = Attempt(actor="test", time=NOW.isoformat(), nonce="gate")
    verdict = validate(registry, policy, made["version"], now=NOW, attempt=attempt)
    record_property("verdict", verdict.reason)
    assert verdict.verdict == "pass", verdict.reason


@pytest.mark.gpu
def test_the_same_training_on_the_same_gpu_gives_the_same_bits(home, registry):
    policy = flight_time(reuse=False)
    first, second = (train_on(registry, policy, home, nonce) for nonce in ("first", "second"))
    assert first["version"] != second["version"]
    assert first["content_digest"] == second["content_digest"]
    found = reproduce(registry, policy.model, first["version"], launcher=LocalLauncher())
    assert found["answer"] == "bitwise", found["reason"]


@pytest.mark.gpu
def test_a_version_trained_on_the_gpu_answers_where_there_is_none_and_the_cpu_is_another_build(
    home, registry, monkeypatch, record_property
):
    policy = flight_time()
    features = list(policy.data.features)
    on_gpu = train_on(registry, policy, home, "gpu")
    window = Window(datetime(2013, 2, 19, tzinfo=UTC), NOW)
    rows = read_window(str(home / "flights"), time_column="ts", window=window, columns=features)
    versions = [registry.version(policy.model, on_gpu["version"])]
    by_gpu = score_versions(registry, versions, rows, features)[on_gpu["version"]].prediction
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    by_cpu = score_versions(registry, versions, rows, features)[on_gpu["version"]].prediction
    difference = float(np.abs(by_gpu - by_cpu).max())
    record_property("largest difference in minutes", difference)
    assert difference < 0.01
    on_cpu = train_on(registry, policy, home, "cpu")
    assert on_cpu["build_key"] != on_gpu["build_key"]
    assert not on_cpu["reused"]
    provenance = provenance_of(registry, on_cpu)
    record_property("seconds on the CPU", provenance["durations"]["train"])
    assert (provenance["device"], provenance["build"]["device"]) == ("cpu", "cpu")


@pytest.mark.gpu
def test_a_killed_training_gives_the_gpus_memory_back_and_registers_nothing(home, registry):
    script = home / "holds_memory.py"
    script.write_text(HOLDS_MEMORY)
    before = free_memory()
    seen = []

    class Watching(LocalLauncher):
        def run(self, spec, *, seed, timeout, on_line, on_pause):
            def look():
                seen.append(free_memory())
                on_pause()

            return super().run(spec, seed=seed, timeout=timeout, on_line=on_line, on_pause=look)

    policy = flight_time(entrypoint=str(script), timeout=timedelta(seconds=25))
    order = Order(
        policy=policy, now=NOW, work=home / "work", checkpoints=home / "checkpoints", owner="k", nonce="k"
    )
    with pytest.raises(TrainingError, match="took longer"):
        train(registry, order, Watching())
    assert min(seen) < before - A_GIB
    assert free_memory() > before - A_GIB // 4
    assert registry.versions(policy.model) == ()
    assert not (home / "work").exists()

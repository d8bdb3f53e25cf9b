"""What can be told of a training's chance and precision when it has ended."""

import subprocess
import sys
from textwrap import dedent

import pytest
import torch

from airflow_provider_ifp.training.determinism import determinism_facts


def test_threads_switches_and_variables_are_as_they_are_in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = determinism_facts()
    assert (found["omp_num_threads"], found["mkl_num_threads"], found["world_size"]) == ("3", None, 4)
    assert found["torch_threads"] == torch.get_num_threads()
    assert found["deterministic_algorithms"] is False
    torch.use_deterministic_algorithms(mode=True)
    try:
        assert determinism_facts()["deterministic_algorithms"] is True
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_what_has_ended_by_then_is_not_claimed_to_have_been_off():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pass
    found = determinism_facts()
    assert found["autocast"] is None
    assert found["data_loader_workers"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_said_of_cuda():
    found = determinism_facts()
    names = ("cuda", "cudnn", "cudnn_deterministic", "cudnn_benchmark", "tf32")
    assert [found[name] for name in names] == [None] * len(names)


def printed(code):
    """A process of its own: this one has torch and may have compiled something."""
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_process_without_torch_says_nothing_of_it_and_does_not_import_it():
    assert (
        printed("""
        import sys
        from airflow_provider_ifp.training.determinism import determinism_facts
        print([name for name in determinism_facts() if "torch" in name], "torch" in sys.modules)
    """)
        == "[] False"
    )


def test_whether_torch_compiled_anything_is_told():
    assert (
        printed("""
        import torch
        from airflow_provider_ifp.training.determinism import determinism_facts
        before = determinism_facts()["compiled"]
        torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
        print(before, determinism_facts()["compiled"])
    """)
        == "False True"
    )

"""Where a training runs, as provenance and the build key hold it."""

import platform
from importlib.metadata import distributions, version

import pytest

from airflow_provider_ifp.adapters.environment import (
    device_class,
    gpu_names,
    read_environment,
    read_hardware,
)
from airflow_provider_ifp.core.digest import digest_json


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Puts a program named nvidia-smi on PATH, alone."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


def test_every_installed_distribution_is_named_with_its_version():
    found = read_environment()
    assert found["python"] == platform.python_version()
    assert found["implementation"] == "cpython"
    assert found["distributions"]["pyarrow"] == version("pyarrow")
    assert found["distributions"]["mlflow-skinny"] == version("mlflow-skinny")
    assert len(found["distributions"]) == len(
        {entry.name.lower().replace("_", "-") for entry in distributions()}
    )
    assert list(found["distributions"]) == sorted(found["distributions"])


def test_the_digest_is_over_all_that_is_named_and_a_distribution_more_changes_it(tmp_path, monkeypatch):
    found = read_environment()
    digest = found.pop("digest")
    assert digest == digest_json(found)
    folder = tmp_path / "Made_Up-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Made_Up\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    more = read_environment()
    assert more["distributions"]["made-up"] == "1.0"
    assert more["digest"] != digest


def test_of_two_with_one_name_the_one_that_is_imported_counts_and_what_has_no_name_does_not(
    tmp_path, monkeypatch
):
    for place, number in (("first", "2.0"), ("second", "1.0")):
        folder = tmp_path / place / f"made_up-{number}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-up\nVersion: {number}\n")
    (tmp_path / "first" / "half_removed-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    assert read_environment()["distributions"]["made-up"] == "2.0" == version("made-up")


def test_the_hardware_is_named():
    found = read_hardware()
    assert found["machine"] == platform.machine()
    assert found["cores"] > 0
    assert found["memory_bytes"] > 2**28
    assert found["cpu"]
    assert isinstance(found["gpus"], list)


def test_gpus_are_what_the_driver_names_and_the_first_is_the_device_class(driver):
    driver("echo 'NVIDIA H100 80GB HBM3, 570.86'\necho 'NVIDIA H100 80GB HBM3, 570.86'\necho")
    assert gpu_names() == ["NVIDIA H100 80GB HBM3, 570.86"] * 2
    assert device_class() == "cuda: NVIDIA H100 80GB HBM3, 570.86"
    assert read_hardware()["gpus"] == gpu_names()


def test_the_driver_is_asked_for_names_and_versions_without_a_header(driver):
    driver('echo "$@"')
    assert gpu_names() == ["--query-gpu=name,driver_version --format=csv,noheader"]


def test_without_a_driver_there_are_no_gpus(driver):
    assert gpu_names() == []
    assert device_class() == "cpu"


def test_a_driver_that_fails_names_no_gpus(driver):
    driver("echo 'NVIDIA-SMI has failed'\nexit 9")
    assert gpu_names() == []
    assert device_class() == "cpu"

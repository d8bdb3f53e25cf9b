"""Where a training runs, as provenance and the build key hold it."""

import os
import platform
import re
from importlib.metadata import distributions, version

import pytest

from airflow_provider_ifp.adapters.code.environment import (
    device_class,
    gpu_names,
    named_environment,
    read_environment,
    read_hardware,
)
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PolicyError


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
        {re.sub(r"[-_.]+", "-", entry.name).lower() for entry in distributions()}
    )
    assert list(found["distributions"]) == sorted(found["distributions"])


def test_the_digest_is_over_all_that_is_named_and_a_distribution_more_changes_it(tmp_path, monkeypatch):
    found = read_environment()
    digest, _ = found.pop("digest"), found.pop("image")
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


def test_the_image_is_what_its_variable_says_and_no_part_of_the_digest(monkeypatch):
    monkeypatch.delenv("IFP_IMAGE", raising=False)
    without = read_environment()
    assert without["image"] is None
    monkeypatch.setenv("IFP_IMAGE", "registry.example.com/train@sha256:0ac5")
    assert read_environment() == without | {"image": "registry.example.com/train@sha256:0ac5"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes distributions up, beside those that are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def to(name, number="1.0", *, requires=()):
        folder = tmp_path / f"{name}-{number}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {number}"]
        (folder / "METADATA").write_text(
            "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires)]) + "\n"
        )

    return to


@pytest.fixture
def made_up(install):
    install(
        "Made.Up",
        requires=[
            "made-up_part>=0.1",
            "made-up-old; python_version < '3'",
            "made-up-extra; extra == 'fast'",
            "made-up-absent",
            "what is this ==",
        ],
    )
    install("made_up_part", "0.2", requires=["made-up[all]", "made-up-deep[wide]"])
    install(
        "made_up_deep", "3.0", requires=["made-up-wide; extra == 'wide'", "made-up-high; extra == 'high'"]
    )
    for name in ("made_up_old", "made_up_extra", "made_up_wide", "made_up_high"):
        install(name)


def test_named_distributions_come_with_all_that_they_require_here(made_up):
    found = named_environment(["Made_Up"])
    digest, _ = found.pop("digest"), found.pop("image")
    assert found == {
        "python": platform.python_version(),
        "implementation": "cpython",
        "distributions": {
            "made-up": "1.0",
            "made-up-deep": "3.0",
            "made-up-part": "0.2",
            "made-up-wide": "1.0",
        },
    }
    assert digest == digest_json(found)


def test_an_extra_is_followed_where_it_is_asked_for(made_up):
    assert "made-up-extra" in named_environment(["made-up[fast]"])["distributions"]
    assert named_environment(["made-up-deep", "made-up-deep[high]"])["distributions"] == {
        "made-up-deep": "3.0",
        "made-up-high": "1.0",
    }


def test_what_is_not_required_changes_without_changing_the_digest_of_those_named(made_up, install):
    before, whole = named_environment(["made-up"]), read_environment()
    install("made_up_unrelated")
    assert named_environment(["made-up"]) == before
    assert read_environment()["digest"] != whole["digest"]
    install("made_up_absent")
    assert named_environment(["made-up"])["digest"] != before["digest"]


def test_the_named_ones_are_among_all_with_the_same_versions():
    whole = read_environment()["distributions"]
    found = named_environment(["torch", "mlflow-skinny"])["distributions"]
    assert {"torch", "mlflow-skinny", "sympy", "cloudpickle"} <= found.keys()
    assert found.items() <= whole.items()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("numppy", "train.environment: 'numppy' is not installed here; did you mean 'numpy'?"),
        ("no-such-thing-at-all", "is not installed here; install it where the task runs, or drop it"),
        ("torch>=2", "'torch>=2' is no distribution's name; expected one such as torch or ray[data]"),
        ("", "'' is no distribution's name"),
    ],
)
def test_a_name_that_is_not_installed_or_no_name_is_told(name, told):
    with pytest.raises(PolicyError) as caught:
        named_environment(["numpy", name])
    assert told in str(caught.value)


def test_the_hardware_is_named():
    found = read_hardware()
    assert found["machine"] == platform.machine()
    assert found["cores"] == os.cpu_count()
    assert 0 < found["threads"] <= found["cores"]
    assert found["memory_bytes"] > 2**28
    assert found["cpu"]
    assert isinstance(found["gpus"], list)


def test_gpus_are_what_the_driver_names_and_the_first_is_the_device_class(driver):
    driver("echo 'NVIDIA H100 80GB HBM3, 570.86'\necho 'NVIDIA H100 80GB HBM3, 570.86'\necho")
    assert gpu_names() == ["NVIDIA H100 80GB HBM3, 570.86"] * 2
    assert device_class() == "cuda: NVIDIA H100 80GB HBM3, 570.86"
    assert read_hardware()["gpus"] == gpu_names()


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_where_every_gpu_is_hidden_the_device_class_is_the_cpu(driver, monkeypatch, hidden):
    driver("echo 'NVIDIA H100 80GB HBM3, 570.86'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert device_class() == "cuda: NVIDIA H100 80GB HBM3, 570.86"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert device_class() == "cpu"


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

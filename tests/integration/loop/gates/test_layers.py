"""Versions that were made with other packages answer with those: candidate and production, each its own."""

import os
import subprocess
import sys
import threading
import zipfile
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.integration.loop.conftest import NOW

from airflow_provider_ifp.adapters.data.datasets import read_window
from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.shadow.gate import shadow
from airflow_provider_ifp.training import layers as made
from airflow_provider_ifp.training.layers import version_environment
from airflow_provider_ifp.training.model_files import save_model

pytestmark = pytest.mark.usefixtures("mlflow_models")


def build_wheel(folder, version, slope):
    """A distribution `shopmath` that knows a slope, and requires `shopbase`, which knows a level."""
    for name, source, more in (
        ("shopmath", f"SLOPE = {slope}\n", f"Requires-Dist: shopbase=={version}\n"),
        ("shopbase", "LEVEL = 1\n", ""),
    ):
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", source)
            facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
            wheel.writestr(f"{about}/METADATA", facts)
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Two versions of `shopmath`, and no other place to install from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    build_wheel(folder, "1.0", 2)
    build_wheel(folder, "2.0", 3)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def layers(tmp_path):
    return tmp_path / "layers"


@pytest.fixture
def no_installer(monkeypatch):
    def refuse():
        pytest.fail("it was installed again")

    monkeypatch.setattr(made, "_installer", refuse)


def priced(frame):
    import shopbase
    import shopmath

    return shopbase.LEVEL + shopmath.SLOPE * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")


def model_of(folder, *requirements):
    class Shop:
        def predict(self, frame):
            return frame["x"]

    save_model(Shop(), folder, features=["x"], requirements=requirements)
    return folder


def answered_by(environment):
    code = "import shopmath, shopbase; print(shopmath.SLOPE, shopbase.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.split() if not done.returncode else done.stderr


def rmse(loop, slope):
    data = loop.policy().data
    window = training_windows(NOW, data.train_window, data.holdout_window, data.label_delay).holdout
    rows = read_window(str(loop.home / "data"), time_column="ts", window=window).to_pandas()
    right = 1 + slope * rows["x"] - rows["z"] + 2 * (rows["region"] == "north")
    return float(np.sqrt(np.mean((right - rows["y"]) ** 2)))


@pytest.mark.usefixtures("warm_python")
def test_candidate_and_production_are_scored_each_with_its_own_packages(loop, index, layers):
    loop.put(loop.register(priced, requirements=["shopmath==1.0"]))
    candidate = loop.register(priced, requirements=["shopmath==2.0"])
    verdict = loop.validate(candidate, layers=layers)
    comparison = next(check for check in verdict.checks if check.name == "comparison")
    assert comparison.value == pytest.approx(rmse(loop, 3))
    assert comparison.against == pytest.approx(rmse(loop, 2))
    assert verdict.verdict == "pass"


@pytest.mark.usefixtures("warm_python")
@pytest.mark.parametrize("mode", ["live", "replay"])
def test_the_shadow_gate_asks_both_versions_with_their_own_packages_too(loop, index, layers, mode):
    for version, requirement in (("1", "shopmath==1.0"), ("2", "shopmath==2.0")):
        assert loop.register(priced, requirements=[requirement]) == version
    loop.put("1")
    asked = loop.rows(NOW - timedelta(days=4), days=4, seed=1)
    right = [2 * asked["x"].to_numpy(), 3 * asked["x"].to_numpy()]
    rest = 1 - asked["z"].to_numpy() + 2 * (asked["region"].to_numpy() == "north")
    place = asked.schema.get_field_index("y")
    for version, stage, part in (("1", "production", right[0]), ("2", "shadow", right[1])):
        loop.write_log(asked.set_column(place, "y", pa.array(part + rest)), stage, version=version)
    policy = loop.policy(shadow={"mode": mode, "min_pairs": 100})
    verdict = shadow(loop.registry, policy, "2", now=NOW, attempt=loop.attempt(), layers=layers)
    checks = {check.name: check for check in verdict.checks}
    assert checks["disagreement"].verdict == "pass"
    if mode == "replay":
        assert checks["fidelity"].value == 1


@pytest.mark.usefixtures("warm_python")
def test_a_candidate_whose_packages_cannot_be_installed_fails_and_says_why(loop, index, layers):
    verdict = loop.validate(loop.register(priced, requirements=["shopmath==3.0"]), layers=layers)
    assert (verdict.verdict, verdict.checks[0].name) == ("fail", "infrastructure")
    assert (
        "the candidate cannot serve: shopmath==3.0 could not be installed (-m pip install): "
        in verdict.reason
    )
    assert "No matching distribution found for shopmath==3.0" in verdict.reason
    assert list(layers.iterdir()) == []


@pytest.mark.usefixtures("warm_python")
def test_production_whose_packages_cannot_be_installed_leaves_the_comparison_undecided(loop, index, layers):
    loop.put(loop.register(priced, requirements=["shopmath==3.0"]))
    candidate = loop.register(priced, requirements=["shopmath==2.0"])
    verdict = loop.validate(candidate, layers=layers)
    assert verdict.verdict == "inconclusive"
    assert "production is version 1, but it did not answer the holdout" in verdict.reason


def test_what_a_package_requires_comes_with_it_and_the_layer_is_found_again(tmp_path, index, layers, request):
    folder = model_of(tmp_path / "model", "shopmath==1.0")
    slope, path = answered_by(version_environment(folder, layers))
    assert slope == "2"
    assert path.startswith(f"{layers}/")
    request.getfixturevalue("no_installer")
    assert answered_by(version_environment(folder, layers)) == ["2", path]


def test_nothing_is_installed_for_what_is_here(tmp_path, layers, no_installer):
    folder = model_of(tmp_path / "model", "packaging>=1", "no-such-thing==1; sys_platform == 'none'")
    assert "PYTHONPATH" not in version_environment(folder, layers).keys() - os.environ.keys()
    assert not layers.exists()


def test_without_a_place_for_layers_a_version_answers_with_what_is_here_and_that_is_logged(
    tmp_path, no_installer, caplog
):
    folder = model_of(tmp_path / "model", "shopmath==1.0")
    assert "No module named 'shopmath'" in answered_by(version_environment(folder, None))
    assert "model asks for shopmath==1.0, and answers with what is installed here" in caplog.text


def test_two_that_install_at_once_share_one_layer(tmp_path, index, layers):
    folder = model_of(tmp_path / "model", "shopmath==1.0")
    found, barrier = [], threading.Barrier(2)

    def install():
        barrier.wait()
        found.append(version_environment(folder, layers)["PYTHONPATH"])

    threads = [threading.Thread(target=install) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(list(layers.iterdir())) == 1


def test_what_a_killed_installation_left_is_not_taken_and_is_removed(tmp_path, index, layers):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = layers / f".building-{ended.pid}-0"
    left.mkdir(parents=True)
    (left / "shopmath.py").write_text("SLOPE = 99\n")
    slope, _ = answered_by(version_environment(model_of(tmp_path / "model", "shopmath==1.0"), layers))
    assert slope == "2"
    assert not left.exists()


def test_a_place_that_cannot_hold_packages_is_named(tmp_path, index):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"shopmath==1.0 cannot be kept in .*/file: .*name another \[ifp\]"):
        version_environment(model_of(tmp_path / "model", "shopmath==1.0"), tmp_path / "file")


def test_where_nothing_can_install_the_version_says_so(tmp_path, layers, monkeypatch):
    monkeypatch.setattr(made, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match="neither pip nor uv is here"):
        version_environment(model_of(tmp_path / "model", "shopmath==1.0"), layers)
    assert list(layers.iterdir()) == []

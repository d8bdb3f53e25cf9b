"""`ifp.monitor`: a baseline set from a notebook is what every later check holds data against."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import airflow_provider_ifp as ifp
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.errors import DatasetError, DigestMismatchError, RegistryError
from airflow_provider_ifp.loop.drift.baseline import BASELINE, FILE, read_baseline
from airflow_provider_ifp.loop.drift.monitor import Monitor


def frame(seed, shift=0.0, rows=2_000):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.normal(shift, 1, rows), "place": rng.choice(["a", "b"], rows)})


@pytest.fixture
def watched(registry, model):
    return Monitor(registry, model)


def test_a_baseline_is_what_data_is_held_against(watched):
    made = watched.set_baseline(frame(0), window_label="2025-Q4-training", freeze=True)
    stands = watched.baseline
    assert (stands.label, stands.frozen, stands.digest) == ("2025-Q4-training", True, made.digest)
    assert stands.profile == made.profile
    assert watched.check(frame(1)).drifted is False
    moved = watched.check(pa.Table.from_pandas(frame(2, shift=1.0), preserve_index=False))
    assert moved.reason.startswith("x drifted: PSI ")
    assert watched.check(frame(1), Rule(min_rows=5_000)).drifted is None


def test_the_newest_baseline_stands_until_it_is_cleared_and_all_stay_on_record(watched, registry, model):
    watched.clear_baseline()
    assert registry.entries(model, BASELINE) == {}
    watched.set_baseline(frame(0), window_label="old")
    watched.set_baseline(frame(0, shift=1.0), window_label="new", freeze=False)
    assert (watched.baseline.label, watched.baseline.frozen) == ("new", False)
    assert watched.check(frame(2, shift=1.0)).drifted is False
    watched.clear_baseline()
    assert watched.baseline is None
    assert [json.loads(text)["label"] for _, text in sorted(registry.entries(model, BASELINE).items())] == [
        "old",
        "new",
        None,
    ]


def test_without_baseline_and_production_it_says_what_to_do(watched, model):
    with pytest.raises(RegistryError, match=f"{model}: no version is in production.*set_baseline"):
        watched.check(frame(0))


def test_a_baseline_that_was_changed_is_refused_and_one_that_is_gone_is_named(
    memory_registry, model, monkeypatch
):
    watched = Monitor(memory_registry, model)
    watched.set_baseline(frame(0), window_label="mine")
    [run_id] = [json.loads(text)["run_id"] for text in memory_registry.entries(model, BASELINE).values()]
    memory_registry.put_file(run_id, FILE, b"{}")
    with pytest.raises(DigestMismatchError, match="'mine', is not what was written"):
        watched.check(frame(0))
    monkeypatch.setattr(memory_registry, "get_file", lambda *_: None)
    with pytest.raises(RegistryError, match=r"'mine', is gone; set it again, or clear it"):
        read_baseline(memory_registry, model)


def test_what_is_no_table_is_refused(memory_registry, model):
    with pytest.raises(DatasetError, match=r"found ndarray; pandas\.DataFrame"):
        Monitor(memory_registry, model).set_baseline(np.zeros((3, 2)), window_label="x")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (frame(0).assign(place=[1, "a"] * 1_000), "Conversion failed for column place.*give each one type"),
        (pd.concat([frame(0), frame(0)], axis=1), "Duplicate column names.*give each one type"),
    ],
)
def test_a_frame_that_is_no_table_is_refused_in_our_words(memory_registry, model, wrong, message):
    with pytest.raises(DatasetError, match=message):
        Monitor(memory_registry, model).set_baseline(wrong, window_label="x")


@pytest.mark.parametrize("label", [None, ""])
def test_a_baseline_without_a_label_is_refused_and_the_old_one_stands(memory_registry, model, label):
    watched = Monitor(memory_registry, model)
    watched.set_baseline(frame(0), window_label="mine")
    with pytest.raises(DatasetError, match="window_label: expected what to call the baseline"):
        watched.set_baseline(frame(0), window_label=label)
    assert watched.baseline.label == "mine"


def test_a_name_that_no_model_can_have_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(RegistryError, match="model 'a/b c': expected"):
        ifp.monitor("a/b c", tracking_uri=f"sqlite:///{tmp_path}/m.db")
    assert not (tmp_path / "m.db").exists()


def test_a_dataset_on_disk_does_as_well(memory_registry, model, tmp_path):
    frame(0).to_parquet(tmp_path / "old.parquet", index=False)
    frame(1, shift=1.0).to_parquet(tmp_path / "now.parquet", index=False)
    watched = Monitor(memory_registry, model)
    watched.set_baseline(tmp_path / "old.parquet", window_label="on disk")
    assert watched.check(tmp_path / "now.parquet").drifted is True


def test_in_a_script_on_a_database_file_without_airflow(tmp_path):
    script = """
        import sys
        import numpy as np, pandas as pd
        import airflow_provider_ifp as ifp

        X = pd.DataFrame({"x": np.random.default_rng(0).normal(size=1000)})
        m = ifp.monitor("fares")
        m.set_baseline(X, window_label="2025-Q4-training", freeze=True)
        print(ifp.monitor("fares").check(X + 1).drifted, "airflow" in sys.modules)
    """
    script = "\n".join(line.strip() for line in script.splitlines())
    own = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/m.db",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=own,
        cwd=tmp_path,
    )
    assert done.stdout.split()[-2:] == ["True", "False"]


def test_it_is_there_when_touched():
    assert ifp.monitor.__module__ == "airflow_provider_ifp.loop.drift.monitor"

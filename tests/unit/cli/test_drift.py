"""`ifp profile` and `ifp drift`: what they print, how they end, and what they cost to start."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.counting.dataset_profile import count_dataset, profile_dataset
from airflow_provider_ifp.adapters.counting.parquet import profiling as parquet_profiling
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.data.progress import Progress
from airflow_provider_ifp.cli import main, progress
from airflow_provider_ifp.core.profile.record import Profile


def draw(seed, rows=3_000, shift=0.0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "price": rng.normal(shift, 1, rows),
            "region": rng.choice(["north", "south"], rows),
            "bought": rng.integers(0, 2, rows),
        }
    )


@pytest.fixture
def ifp(capsys):
    """Run a command; returns its exit code, what it printed as a result, and its messages."""

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def files(tmp_path):
    """The reference, a window like it, and one that moved."""
    for name, table in {"old": draw(0), "same": draw(1), "moved": draw(2, shift=0.6)}.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    return tmp_path


def test_a_profile_is_written_of_the_columns_asked_for(ifp, files):
    out = files / "profile.json"
    code, printed, _ = ifp("profile", files / "old.parquet", "--label", "bought", "-o", out)
    assert (code, printed) == (0, f"{out}: 3,000 rows, 2 features: price, region\n")
    assert Profile.from_json(json.loads(out.read_text())) == profile_table(draw(0), ["price", "region"])
    chosen = ("--features", "bought,region", "--categorical", "bought,region", "--json")
    code, printed, _ = ifp("profile", files / "old.parquet", *chosen, "-o", out)
    assert (code, json.loads(printed)) == (
        0,
        {"profile": str(out), "rows": 3000, "features": ["bought", "region"]},
    )
    assert Profile.from_json(json.loads(out.read_text())).features[0].kind == "category"


def test_the_result_has_the_contracts_keys_and_drift_decides_the_exit_code_when_asked(ifp, files):
    out = files / "profile.json"
    ifp("profile", files / "old.parquet", "--label", "bought", "-o", out)
    words = ("drift", "--reference", out, "--current", files / "moved.parquet", "--json")
    code, printed, messages = ifp(*words)
    found = json.loads(printed)
    assert (code, messages) == (0, "")
    assert found["drifted"] is True
    assert found["rows"] == {"reference": 3000, "current": 3000}
    first = found["features"][0]
    assert (first["name"], first["verdict"]) == ("price", "drifted")
    assert {"psi", "expected_by_chance", "p_value", "missing"} <= set(first)
    assert found["reason"].startswith("price drifted: PSI 0.")
    assert ifp(*words, "--fail-on-drift")[0] == 1
    quiet = ("drift", "--reference", out, "--current", files / "same.parquet", "--json", "--fail-on-drift")
    code, printed, _ = ifp(*quiet)
    assert (code, json.loads(printed)["drifted"]) == (0, False)


def test_without_json_the_sentence_comes_first_and_the_features_are_ranked(ifp, files):
    code, printed, _ = ifp(
        "drift", "--reference", files / "old.parquet", "--current", files / "moved.parquet"
    )
    lines = printed.splitlines()
    assert code == 0
    assert lines[0].startswith("price drifted: PSI 0.")
    assert lines[2].split() == ["FEATURE", "PSI", "BY", "CHANCE", "P", "MISSING", "BEFORE", "NOW", "VERDICT"]
    assert lines[3].split()[0] == "price"


def test_few_rows_are_undecided_and_that_is_null(ifp, files):
    pq.write_table(draw(5, rows=4), files / "few.parquet")
    words = ("drift", "--reference", files / "old.parquet", "--current", files / "few.parquet", "--json")
    code, printed, _ = ifp(*words, "--fail-on-drift")
    assert (code, json.loads(printed)["drifted"]) == (0, None)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--method", "ks_test"], "KS p"),
        (["--method", "wasserstein,js"], "Wasserstein"),
        (["--method", "wasserstein", "--method", "js"], "Wasserstein"),
        (["--method", "psi", "--threshold", "auto"], "PSI with tails"),
        (["--threshold", "0.2"], "> 0.20"),
        (["--correction", "none"], "correction none: chance alone calls drift with probability"),
    ],
)
def test_methods_threshold_and_correction_are_as_asked(ifp, files, asked, words):
    _, printed, _ = ifp(
        "drift", "--reference", files / "old.parquet", "--current", files / "moved.parquet", *asked
    )
    assert words in printed.splitlines()[0]


def test_csv_and_folders_are_datasets_too(ifp, files):
    pacsv.write_csv(draw(1), files / "same.csv")
    hive = {"partitioning": ["region"], "partitioning_flavor": "hive"}
    ds.write_dataset(draw(1), files / "by_region", format="parquet", **hive)
    for name in ("same.csv", "by_region"):
        code, printed, _ = ifp(
            "drift", "--reference", files / "old.parquet", "--current", files / name, "--json"
        )
        assert (code, json.loads(printed)["drifted"]) == (0, False)
        assert json.loads(printed)["rows"]["current"] == 3000


@pytest.mark.parametrize("name", ["sales", "file://{}/sales.profile"])
def test_a_profile_is_known_by_what_it_is_and_lies_where_a_dataset_can_lie(ifp, files, name):
    out = name.format(files) if "://" in name else files / name
    ifp("profile", files / "old.parquet", "-o", out)
    code, printed, _ = ifp("drift", "--reference", out, "--current", files / "same.parquet", "--json")
    assert (code, json.loads(printed)["drifted"]) == (0, False)


ITSELF = ["drift", "--reference", "{}/old.parquet", "--current", "{}/old.parquet"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["profile", "{}/none.parquet", "-o", "{}/p.json"], "none.parquet: no such file or folder"),
        (["profile", "{}/old.parquet", "--features", "prize", "-o", "{}/p.json"], "did you mean 'price'"),
        (
            [
                "profile",
                "{}/old.parquet",
                "--features",
                "price,region",
                "--label",
                "price",
                "-o",
                "{}/p.json",
            ],
            "'price' is named as a feature and as the label",
        ),
        (["profile", "{}/old.parquet", "--categorical", "x", "-o", "{}/p.json"], "x is no feature"),
        (["profile", "{}/old.parquet", "-o", "{}/old.parquet/p.json"], "cannot be written"),
        (["drift", "--reference", "{}/p.json", "--current", "{}/old.parquet"], "ifp profile DATASET -o"),
        (["drift", "--reference", "{}/bad.json", "--current", "{}/old.parquet"], "no JSON"),
        (["drift", "--reference", "{}/list.json", "--current", "{}/old.parquet"], "expected a profile"),
        (["drift", "--reference", "{}/old.parquet", "--current", "{}/text.parquet"], "expected numbers"),
        (["drift", "--reference", "{}/old.parquet", "--current", "{}/less.parquet"], "no column 'region'"),
        (["drift", "--reference", "{}/old.parquet", "--current", "{}/less.parquet"], "--features or --label"),
        (["drift", "--reference", "{}/text", "--current", "{}/old.parquet"], "or a dataset: a Parquet"),
        (["profile", "{}/old.parquet", "--features", ",", "-o", "{}/p.json"], "0 features"),
        (["drift", "--reference", "{}/old.parquet", "--current", "{}/cut.parquet"], "cannot be read"),
        ([*ITSELF, "--method", "x"], "psi, ks_test"),
        ([*ITSELF, "--threshold", "x"], "or auto"),
        ([*ITSELF, "--method", "psi,js", "--threshold", "1"], "one by one"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do_and_nothing_is_written(ifp, files, words, message):
    (files / "bad.json").write_text("{")
    (files / "text").write_text("none")
    (files / "list.json").write_text("[]")
    pq.write_table(draw(0).set_column(0, "price", pa.array(["1"] * 3000)), files / "text.parquet")
    pq.write_table(draw(0).drop_columns(["region"]), files / "less.parquet")
    (files / "cut.parquet").write_bytes((files / "old.parquet").read_bytes()[:5000])
    code, printed, told = ifp(*(word.format(files) for word in words))
    assert (code, printed) == (2, "")
    assert message in told
    assert len(told.splitlines()) == 1
    assert not (files / "p.json").exists()


HEAVY = {"mlflow", "pandas", "airflow", "torch", "scipy.stats", "pyarrow.dataset", "tqdm"}


def test_the_commands_import_nothing_heavy(files):
    script = f"""
        import json, sys
        from airflow_provider_ifp.cli import main, progress

        assert main(["profile", "{files}/old.parquet", "-o", "{files}/p.json"]) == 0
        assert main(["drift", "--reference", "{files}/p.json", "--current", "{files}/same.parquet"]) == 0
        print(json.dumps(sorted(set(sys.modules) & {HEAVY!r})), file=sys.stderr)
    """
    script = "\n".join(line.strip() for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_traceback(files):
    words = f"drift --reference {files}/old.parquet --current {files}/old.parquet --json"
    command = f"{Path(sys.executable).with_name('ifp')} {words} | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ('{\n "drifte', "")


def test_long_work_shows_a_bar_on_a_terminal_alone(files, monkeypatch, capsys):
    told = io.StringIO()
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", told)
    words = ["drift", "--reference", f"{files}/old.parquet", "--current", f"{files}/same.parquet", "--json"]
    assert main(words) == 0
    assert told.getvalue() == ""
    monkeypatch.setattr(told, "isatty", lambda: True)
    assert main(words) == 0
    assert "profile " in told.getvalue()
    assert "count " in told.getvalue()
    assert " values/s]" in told.getvalue()
    assert capsys.readouterr().out.count('"drifted": false') == 2


def test_the_bar_says_of_how_many_values(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(told, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with progress.progress("count x") as shown:
        shown.expect(lambda: 2_000)
        time.sleep(0.2)  # tqdm draws ten times a second at most
        shown.advance(500)
    assert "count x:  25%|" in told.getvalue()
    assert " 500/2.00k " in told.getvalue()


class Heard(Progress):
    total = done = 0

    def expect(self, total):
        self.total = total()

    def advance(self, done):
        self.done += done


@pytest.mark.parametrize("sampled", [10_000_000, 1_000])
def test_as_many_values_are_done_as_were_expected(files, monkeypatch, sampled):
    monkeypatch.setattr(parquet_profiling, "SAMPLED_ROWS", sampled)
    profiled, counted = Heard(), Heard()
    profile = profile_dataset(f"{files}/old.parquet", progress=profiled)
    # The numbers of a sample are read once more, to be counted.
    assert profiled.total == profiled.done == 3_000 * (3 if sampled > 3_000 else 5)
    count_dataset(profile, f"{files}/same.parquet", progress=counted)
    assert counted.total == counted.done == 3_000 * 3

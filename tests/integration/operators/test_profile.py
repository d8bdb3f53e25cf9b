"""Parts on many workers: Airflow maps the tasks for real, and the numbers are those of one pass."""

import json
import re
import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.demo.services import own_environment
from airflow_provider_ifp.operators.profile import (
    CheckPartsOperator,
    CountPartOperator,
    MakeBinsOperator,
    MergeProfileOperator,
    SamplePartOperator,
)

pytestmark = pytest.mark.airflow

DOCS = Path(__file__).parents[3] / "docs" / "where-data-is.md"
FEATURES = ["price", "region"]
MAIN = """
if __name__ == "__main__":
    import json, sys
    run = dag.test()
    found = run.get_task_instances()
    states = [[ti.task_id, ti.map_index, str(ti.state)] for ti in found]
    pulled = {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in found if ti.map_index < 0}
    open(sys.argv[1], "w").write(json.dumps({"states": states, "results": pulled}))
"""


def sales(month, rows, seed, mean=0.0):
    rng = np.random.default_rng(seed)
    start = datetime(2024, month, 1, tzinfo=UTC)
    price = rng.normal(mean, size=rows)
    price[::50] = np.nan
    times = [start + timedelta(minutes=int(minute)) for minute in rng.integers(0, 7 * 1440, rows)]
    regions = rng.choice(["north", "south", None], rows, p=[0.6, 0.3, 0.1]).tolist()
    return pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), "price": price, "region": regions})


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Three months of sales, and a week in which prices have risen."""
    root = tmp_path_factory.mktemp("lake")
    months = {month: sales(month, 900 + 100 * month, month) for month in (1, 2, 3)}
    months[4] = sales(4, 800, 4, mean=1.0)
    for month, table in months.items():
        folder = root / "sales" / f"month=2024-0{month}"
        folder.mkdir(parents=True)
        for number in range(3):
            step = -(-table.num_rows // 3)
            pq.write_table(table.slice(number * step, step), folder / f"{number}.parquet")
    return root, months


@pytest.fixture(scope="module")
def dag_run(lake, tmp_path_factory):
    """The Dag of the documentation, as it stands there, over this lake."""
    root, _ = lake
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "DAG(" in block
    )
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    file = home / "dags" / "sales.py"
    file.write_text(code.replace("s3://lake", str(root)) + MAIN)
    environment = own_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    for command in (["-m", "airflow", "db", "migrate"], [str(file), str(home / "result.json")]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, cwd=home
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    result = json.loads((home / "result.json").read_text())
    failed = [state for state in result["states"] if state[2] != "success"]
    assert not failed, done.stdout[-6000:]
    return result


def test_each_part_is_a_mapped_task_of_its_own(dag_run):
    mapped = {}
    for task, index, state in dag_run["states"]:
        assert state == "success", task
        mapped.setdefault(task, []).append(index)
    assert {task: sorted(found) for task, found in mapped.items()} == {
        "sample": [0, 1, 2],
        "bins": [-1],
        "count": [0, 1, 2],
        "profile": [-1],
        "count_now": [0, 1, 2, 3, 4, 5, 6],
        "check": [-1],
    }


def test_the_profile_of_the_parts_is_that_of_one_pass(dag_run, lake):
    _, months = lake
    expected = profile_table(pa.concat_tables([months[month] for month in (1, 2, 3)]), FEATURES)
    found = Profile.from_json(json.loads(Path(dag_run["results"]["profile"]["path"]).read_text()))
    require_same(found, expected)


def test_the_answer_of_the_parts_is_that_of_one_pass(dag_run, lake):
    _, months = lake
    profile = Profile.from_json(json.loads(Path(dag_run["results"]["profile"]["path"]).read_text()))
    one_pass = check_drift(profile, count_batches(profile, months[4].to_batches()))
    answer = dag_run["results"]["check"]
    assert one_pass.drifted is True
    assert {**answer, "path": None} == {
        "drifted": True,
        "reason": one_pass.reason,
        "rows": {"reference": 3_300, "current": 800},
        "path": None,
    }
    whole = json.loads(Path(answer["path"]).read_text())
    assert [one["name"] for one in whole["features"]] == ["price", "region"]
    assert whole["features"][0]["psi"] == one_pass.features[0].psi


def require_same(found, expected):
    """All but the rounding of sums is the same."""
    assert found.rows == expected.rows
    for mine, other in zip(found.features, expected.features, strict=True):
        if other.kind == "number":
            for part, value in asdict(other.moments).items():
                assert getattr(mine.moments, part) == (
                    value if value is None else pytest.approx(value, abs=1e-8)
                )
            assert mine.centre == pytest.approx(other.centre)
        assert _rounded(mine) == _rounded(other)


def _rounded(feature):
    return replace(feature, moments=None, centre=None) if feature.kind == "number" else feature


@pytest.fixture
def parts(lake, tmp_path):
    """Run the operators by hand, over parts."""
    root, _ = lake

    class Parts:
        def __init__(self):
            self.folder = str(tmp_path / "shared")
            self.months = [{"dataset": str(root / "sales" / f"month=2024-0{month}")} for month in (1, 2, 3)]

        def sample(self, part, features=FEATURES, **named):
            return SamplePartOperator(
                task_id="s", part=part, features=features, folder=self.folder, **named
            ).execute({})

        def bins(self, samples, features=FEATURES, **named):
            return MakeBinsOperator(
                task_id="b", samples=samples, features=features, folder=self.folder, **named
            ).execute({})

        def count(self, part, reference, **named):
            return CountPartOperator(
                task_id="c", part=part, reference=reference, folder=self.folder, **named
            ).execute({})

        def profile(self, counted, bins):
            return MergeProfileOperator(task_id="p", parts=counted, bins=bins, folder=self.folder).execute({})

        def check(self, counted, reference, **named):
            return CheckPartsOperator(
                task_id="k", parts=counted, reference=reference, folder=self.folder, **named
            ).execute({})

    return Parts()


def refusal(attempt, *arguments, **named):
    with pytest.raises(AirflowFailException) as refused:
        attempt(*arguments, **named)
    return str(refused.value)


def test_a_window_larger_than_the_sample_has_exact_counts_on_nearly_its_quantiles(parts, lake):
    _, months = lake
    bins = parts.bins([parts.sample(part, rows=500) for part in parts.months], rows=500)
    made = parts.profile([parts.count(part, bins) for part in parts.months], bins)
    profile = Profile.from_json(json.loads(Path(made["path"]).read_text()))
    whole = pa.concat_tables([months[month] for month in (1, 2, 3)])
    counted = count_batches(profile, whole.to_batches())
    assert {one.name: one.counts.bins.tolist() for one in profile.features} == {
        name: counts.bins.tolist() for name, counts in counted.items()
    }
    price = np.sort(whole["price"].to_numpy())
    ranks = np.searchsorted(price, profile.features[0].cuts("deciles")) / np.count_nonzero(~np.isnan(price))
    assert np.abs(ranks - np.arange(1, 10) / 10).max() < 5 * np.sqrt(0.25 / 500)
    assert profile.features[1] == profile_table(whole, FEATURES).features[1]


def test_a_retry_writes_the_same_file_again_and_counts_once(parts):
    bins = parts.bins([parts.sample(part) for part in parts.months])
    first, again = (parts.count(parts.months[0], bins) for _ in range(2))
    assert first == again
    assert len(list(Path(parts.folder).glob("part-*.counts"))) == 1
    assert parts.sample(parts.months[0]) == parts.sample(parts.months[0])


def test_parts_that_are_files_ranges_of_time_or_ranges_of_a_table_count_alike(
    parts, lake, tmp_path, monkeypatch
):
    root, months = lake
    bins = parts.bins([parts.sample(part) for part in parts.months])
    folder = root / "sales" / "month=2024-04"
    days = [{"start": f"2024-04-0{day}", "end": f"2024-04-0{day + 1}T00:00:00+00:00"} for day in range(1, 8)]
    connection = sqlite3.connect(tmp_path / "sales.db")
    connection.execute("create table sales (ts timestamp, price double, region text)")
    values = [(str(row["ts"]), row["price"], row["region"]) for row in months[4].to_pylist()]
    connection.executemany("insert into sales values (?, ?, ?)", values)
    connection.commit()
    connection.close()
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "sales.db")})
    )
    ways = [
        [{"dataset": str(folder)}],
        [{"files": [str(folder / f"{number}.parquet")]} for number in range(3)],
        [{"files": [str(folder / f"{number}.parquet") for number in range(3)]}],
        [{"dataset": str(root / "sales"), "time_column": "ts", **day} for day in days],
        [{"conn_id": "warehouse", "table": "sales", "time_column": "ts", **day} for day in days],
        [{"conn_id": "warehouse", "query": "select * from sales where price is null or price < 99"}],
    ]
    answers = [parts.check([parts.count(part, bins) for part in way], bins) for way in ways]
    assert answers[0]["rows"] == {"reference": 3_300, "current": 800}
    assert all(answer == answers[0] for answer in answers)


def test_the_prediction_logs_files_are_parts_too(parts, lake, tmp_path):
    _, months = lake
    bins = parts.bins([parts.sample(part) for part in parts.months])
    rows = months[4].select(FEATURES)
    features = pa.StructArray.from_arrays([rows[name].combine_chunks() for name in FEATURES], FEATURES)
    pq.write_table(pa.table({"features": features}), tmp_path / "log.parquet")
    log = parts.count({"files": [str(tmp_path / "log.parquet")]}, bins, within="features")
    plain = parts.count({"dataset": str(lake[0] / "sales" / "month=2024-04")}, bins)
    assert parts.check([log], bins)["reason"] == parts.check([plain], bins)["reason"]
    said = refusal(parts.count, {"dataset": str(tmp_path)}, bins, within="features")
    assert "within='features' is for parts that name files" in said


def test_a_policys_monitor_says_what_is_asked(parts, tmp_path):
    bins = parts.bins([parts.sample(part) for part in parts.months])
    counted = [parts.count(parts.months[0], bins)]
    policy = tmp_path / "sales.yaml"
    policy.write_text("monitor: {min_rows: 5000}\n")
    answer = parts.check(counted, bins, policy=policy)
    assert answer["drifted"] is None
    assert answer["reason"] == "undecided: 1,000 rows in the window, 5,000 needed"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"datset": "x"}, "datset: Extra inputs are not permitted"),
        ("x", "Input should be a valid dictionary"),
        ({}, "expected one of files, dataset, conn_id, found none"),
        ({"dataset": "x", "files": ["y"]}, "found files and dataset"),
        ({"dataset": "x", "table": "y"}, "expected one of table, query with conn_id, and none without it"),
        ({"conn_id": "x"}, "expected one of table, query with conn_id"),
        ({"dataset": "x", "start": "2024-01-01"}, "a range of time needs time_column and end"),
        ({"dataset": "x", "end": "2024-01-01"}, "a range of time needs time_column and end"),
        ({"files": ["x"], "time_column": "ts", "end": "2024-01-01"}, "files are counted whole"),
        (
            {"dataset": "x", "time_column": "ts", "start": "2024-01-02", "end": "2024-01-01"},
            "a window must end after it starts",
        ),
        ({"dataset": "nowhere/at/all"}, "nowhere/at/all: no such file or folder"),
        ({"files": ["a.parquet", "memory://b.parquet"]}, "lie in two stores"),
        ({"conn_id": "nowhere", "table": "x"}, "conn_id 'nowhere'"),
    ],
)
def test_a_part_that_cannot_be_is_refused(parts, part, said):
    bins = parts.bins([parts.sample(parts.months[0])])
    assert said in refusal(parts.count, part, bins).replace("has no connection", "conn_id")


def test_merging_refuses_what_would_make_a_wrong_answer(parts):
    samples = [parts.sample(part) for part in parts.months]
    bins = parts.bins(samples)
    counted = [parts.count(part, bins) for part in parts.months]
    assert "the same part is there twice" in refusal(parts.check, [*counted, counted[0]], bins)
    assert "there is no part to merge" in refusal(parts.check, [], bins)
    assert "expected what a task of this provider returned" in refusal(parts.check, ["x"], bins)
    said = refusal(parts.profile, counted[:2], bins)
    assert "the first pass found 3,300 rows, the second 2,100: parts were left out" in said
    other = parts.profile(counted, bins)
    assert "counted on another reference" in refusal(parts.check, counted, other)
    Path(counted[1]["path"]).write_bytes(Path(counted[1]["path"]).read_bytes()[:-100])
    assert f"{counted[1]['path']}: damaged" in refusal(parts.check, counted, bins)
    Path(counted[1]["path"]).unlink()
    assert f"{counted[1]['path']} cannot be read" in refusal(parts.check, counted, bins)
    assert "bins.jsonx cannot be read" in refusal(parts.count, parts.months[0], bins["path"] + "x")
    Path(samples[0]["path"]).write_bytes(b"PAR1")
    assert f"{samples[0]['path']}: damaged" in refusal(parts.bins, samples)


def test_parts_of_other_types_are_refused_and_an_empty_window_has_no_profile(parts, tmp_path):
    for name, price in (("a", pa.array([1.5, 2.5])), ("b", pa.array([1, 2])), ("c", pa.array(["x", "y"]))):
        pq.write_table(pa.table({"price": price}), tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"price": pa.array([], pa.float64())}), tmp_path / "none.parquet")
    one, other, text, none = (
        parts.sample({"dataset": str(tmp_path / f"{name}.parquet")}, ["price"])
        for name in ("a", "b", "c", "none")
    )
    said = refusal(parts.bins, [one, other], ["price"])
    assert "expected the numbers of the first part (price double), found price int64" in said
    assert "bring the parts to one schema" in refusal(parts.bins, [one, text], ["price"])
    assert "found no rows in any part" in refusal(parts.bins, [none], ["price"])
    assert parts.bins([none, one], ["price"])["rows"] == 2
    said = refusal(parts.sample, {"conn_id": "x", "table": "y"})
    assert "a database computes its own quantiles" in said

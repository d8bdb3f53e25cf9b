"""The prediction log, datasets, profiles and parts on S3, by Arrow's own file system."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from tests import log_rows
from tests.s3_server import running_s3

from airflow_provider_ifp.adapters.counting.cache import CountCache
from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.dataset_profile import count_dataset, profile_dataset
from airflow_provider_ifp.adapters.counting.parquet.counting import count_files
from airflow_provider_ifp.adapters.counting.part_files import (
    merge_counts,
    read_profile,
    write_counts,
    write_json,
)
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.counting.sampling import finish_profile, merge_samples, write_sample
from airflow_provider_ifp.adapters.counting.window_parts import PartSource, count_part
from airflow_provider_ifp.adapters.data.datasets import read_window, source_id
from airflow_provider_ifp.adapters.data.manifest import manifest_digest
from airflow_provider_ifp.adapters.data.storage import resolve_uri, write_atomically
from airflow_provider_ifp.adapters.log.compaction import compact_log
from airflow_provider_ifp.adapters.log.files import describe_search
from airflow_provider_ifp.adapters.log.predictions import iter_batches, read_log, write_predictions
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.demo.services import own_environment
from airflow_provider_ifp.loop.drift.window import LogCounter
from airflow_provider_ifp.serving.log.writer import LogWriter

pytestmark = pytest.mark.filterwarnings("ignore")  # boto3 and Python

START = datetime(2024, 1, 1, 22, tzinfo=UTC)
WINDOW = Window(START + timedelta(hours=1), START + timedelta(hours=4))
SECRET = "of-the-tests"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3"), bucket="lake") as made:
        yield made


@pytest.fixture(autouse=True)
def environment(bucket, monkeypatch):
    """What a worker has: the endpoint and the credentials, in the variables of every AWS tool."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.environment["MLFLOW_S3_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def root(bucket, request):
    """A place of the test's own."""
    return f"{bucket.uri}/{request.node.originalname}"


def rows(count=600):
    rng = np.random.default_rng(4)
    times = [START + timedelta(seconds=int(second)) for second in rng.integers(0, 6 * 3600, count)]
    x, region = rng.normal(size=count), rng.choice(["north", "south"], count)
    return pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), "x": x, "region": region.tolist()})


def requests(table):
    features = table.select(["x", "region"]).to_pylist()
    numbers = range(table.num_rows)
    return pa.table(
        {
            "request_id": [f"r{number}" for number in numbers],
            "row": pa.array([0] * table.num_rows, pa.int32()),
            "ts": table["ts"],
            "model_version": ["1"] * table.num_rows,
            "features": features,
            "prediction": np.zeros(table.num_rows),
        }
    )


def keys(bucket, root):
    prefix = root.removeprefix(f"{bucket.uri}/")
    return sorted(key for key in bucket.files() if key.startswith(prefix))


def write_parquet(uri, table):
    filesystem, path = resolve_uri(uri)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_atomically(filesystem, path, sink.getvalue().to_pybytes())


def test_a_log_is_written_listed_read_and_counted_as_on_a_disk(bucket, root, tmp_path):
    table = requests(rows())
    written = write_predictions(root, "fares", "production", table)
    local = write_predictions(str(tmp_path), "fares", "production", table)
    assert written == write_predictions(root, "fares", "production", table)
    assert [path.removeprefix(root.removeprefix("s3://")) for path in written] == [
        path.removeprefix(str(tmp_path)) for path in local
    ]
    assert [f"lake/{key}" for key in keys(bucket, root)] == written
    read = read_log(root, "fares", "production", WINDOW, ["x", "region"], log_columns=["request_id"])
    assert read.num_rows > 200
    assert read == read_log(
        str(tmp_path), "fares", "production", WINDOW, ["x", "region"], log_columns=["request_id"]
    )
    assert describe_search(root, "fares", "production", WINDOW).endswith("2024-01-01 to 2024-01-02")
    profile = profile_table(rows(), ["x", "region"])
    counted = LogCounter(root, "fares", "production", profile, CountCache(tmp_path / "cache")).count(WINDOW)
    assert counted.counts == count_batches(profile, read.to_batches()) | {"x": counted.counts["x"]}
    assert counted.counts["x"].bins.tolist() == count_batches(profile, read.to_batches())["x"].bins.tolist()


def test_a_log_that_is_not_there_is_told_with_the_place(bucket, root):
    with pytest.raises(PredictionLogError, match="has no folder model=fares"):
        list(iter_batches(root, "fares", "production", WINDOW, ["x"]))


def test_a_truncated_object_is_named(bucket, root, tmp_path):
    written = write_predictions(root, "fares", "production", requests(rows()))
    damaged = written[2]
    bucket.write(damaged.removeprefix("lake/"), bucket.files()[damaged.removeprefix("lake/")][:-200])
    profile = profile_table(rows(), ["x", "region"])
    everything = Window(None, START + timedelta(days=1))
    for attempt in (
        lambda: list(iter_batches(root, "fares", "production", everything, ["x"])),
        lambda: count_files(profile, written, filesystem=resolve_uri(root)[0], within="features"),
        lambda: LogCounter(root, "fares", "production", profile, CountCache(None)).count(everything),
    ):
        with pytest.raises(DatasetError, match=f"{damaged} cannot be read") as refused:
            attempt()
        assert SECRET not in str(refused.value)
    counter = LogCounter(root, "fares", "production", profile, CountCache(None), skip_unreadable=True)
    assert 0 < counter.count(everything).rows < 600
    assert damaged in " ".join(counter.notes)


def test_a_dataset_is_profiled_counted_read_and_named_as_on_a_disk(bucket, root, tmp_path):
    table = rows()
    for place in (root, str(tmp_path)):
        for number in range(3):
            write_parquet(f"{place}/sales/part-{number}.parquet", table.slice(number * 200, 200))
    profile = profile_dataset(f"{root}/sales", features=["x", "region"])
    assert profile == profile_dataset(f"{tmp_path}/sales", features=["x", "region"])
    assert count_dataset(profile, f"{root}/sales") == count_dataset(profile, f"{tmp_path}/sales")
    read = read_window(f"{root}/sales", time_column="ts", window=WINDOW)
    assert read.num_rows == read_window(f"{tmp_path}/sales", time_column="ts", window=WINDOW).num_rows > 0
    assert source_id(f"{root}/sales").endswith("files part-0.parquet, part-1.parquet, part-2.parquet")
    assert manifest_digest(f"{root}/sales").files == 3
    with pytest.raises(DatasetError, match=r"no such file or folder"):
        profile_dataset(f"{root}/nothing")


def test_an_object_is_replaced_whole_and_nothing_lies_beside_it(bucket, root):
    filesystem, path = resolve_uri(f"{root}/a b/part=1+1/x.parquet")
    for content in (b"first", b"second"):
        write_atomically(filesystem, path, content)
    assert filesystem.open_input_file(path).read() == b"second"
    assert len(keys(bucket, root)) == 1


def test_an_upload_that_breaks_off_leaves_the_object_that_was_there(bucket, root):
    filesystem, path = resolve_uri(f"{root}/x.parquet")
    write_atomically(filesystem, path, b"first")
    with pytest.raises(TypeError):
        write_atomically(filesystem, path, ["no", "bytes"])
    assert filesystem.open_input_file(path).read() == b"first"


def test_parts_are_sampled_counted_and_merged_there(root):
    table = rows()
    for number in range(3):
        write_parquet(f"{root}/sales/day=2024-01-0{number + 1}/a.parquet", table.slice(number * 200, 200))
    parts = [PartSource(dataset=f"{root}/sales/day=2024-01-0{number}") for number in (1, 2, 3)]
    folder = f"{root}/shared/manual__2024-01-01T00:00:00+00:00"
    samples = [write_sample(folder, part, ["x", "region"]) for part in parts]
    bins = read_profile(write_json(folder, "bins.json", merge_samples(samples, ["x", "region"]).to_json()))
    counted = merge_counts(bins, [write_counts(folder, bins, part, count_part(bins, part)) for part in parts])
    profile, expected = finish_profile(bins, counted), profile_table(table, ["x", "region"])
    assert profile.rows == 600
    assert profile.features[0].interval_rows == expected.features[0].interval_rows
    assert profile.features[1] == expected.features[1]
    with pytest.raises(DatasetError, match=r"nothing\.json cannot be read"):
        read_profile(f"{folder}/nothing.json")


@pytest.mark.parametrize("place", ["s3://no-such-bucket/log", "s3://lake/denied"])
def test_what_the_store_refuses_is_told_without_secrets(place, bucket, monkeypatch):
    if place.endswith("denied"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        place += "?region=us-east-1"
    for attempt in (
        lambda: list(iter_batches(place, "fares", "production", WINDOW, ["x"])),
        lambda: write_json(place.partition("?")[0], "x.json", {}),
    ):
        with pytest.raises(DatasetError) as refused:
            attempt()
        assert SECRET not in str(refused.value)
        assert place.partition("?")[0] in str(refused.value) or "denied" in str(refused.value)


def test_the_command_line_reads_s3_too(bucket, root):
    write_parquet(f"{root}/sales.parquet", rows())
    environment = own_environment()
    command = [str(Path(sys.executable).with_name("ifp")), "drift", "--json"]
    done = subprocess.run(
        [
            *command,
            "--reference",
            f"{root}/sales.parquet",
            "--current",
            f"{root}/sales.parquet",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == {"reference": 600, "current": 600}


def test_a_server_writes_to_it_and_compaction_merges_there(bucket, root, tmp_path):
    everything = Window(None, log_rows.TIME + timedelta(days=1))

    def ids():
        read = read_log(root, "fares", "production", everything, ["x"], log_columns=["request_id"])
        return sorted(read["request_id"].to_pylist())

    def write(numbers):
        writer = LogWriter(root, "fares", "production", spool=tmp_path / "spool")
        for number in numbers:
            assert writer.offer(log_rows.rows([number]))
        assert writer.close(60)

    for first in (0, 10, 20):
        write(range(first, first + 10))
    assert len(keys(bucket, root)) == 3
    now = datetime.now(UTC) + timedelta(seconds=2)  # S3 tells whole seconds
    done = compact_log(root, now=now, keep=timedelta(0))
    assert (done.merged, done.written, done.rows, done.unreadable) == (3, 1, 30, [])
    assert ids() == sorted(log_rows.numbered(30))
    assert compact_log(root, now=now + timedelta(seconds=2), keep=timedelta(0)).removed == 3
    assert ids() == sorted(log_rows.numbered(30))
    assert len([key for key in keys(bucket, root) if key.endswith(".parquet")]) == 1


def test_the_file_system_is_arrows_own():
    assert isinstance(resolve_uri("s3://lake/x")[0], fs.S3FileSystem)

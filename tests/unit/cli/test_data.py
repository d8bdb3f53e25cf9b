"""`ifp digest`: the same rows have one digest, whatever file they are in."""

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.cli import main

ROWS = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})


@pytest.fixture
def digest(capsys):
    def run(*words):
        code = main(["digest", *map(str, words)])
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in words and code == 0 else out, err

    return run


@pytest.fixture
def written(tmp_path):
    def write(table=ROWS, name="rows.parquet", **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        return path

    return write


def test_a_file_is_named_by_its_rows(digest, written):
    path = written()
    assert digest(path, "--json") == (
        0,
        {"content_digest": fingerprint_table(ROWS).digest, "source_id": str(path), "rows": 3},
        "",
    )
    code, out, err = digest(path)
    assert (code, err) == (0, "")
    assert out == f"{fingerprint_table(ROWS).digest}  3 rows\n{path}\n"


def test_order_row_groups_codec_and_files_leave_the_digest_as_it_is(digest, written, tmp_path):
    expected = digest(written(), "--json")[1]["content_digest"]
    turned = ROWS.take([2, 0, 1]).select(["b", "a"])
    written(turned.slice(0, 1), "folder/one.parquet", compression="none")
    written(turned.slice(1), "folder/two.parquet", row_group_size=1)
    assert digest(tmp_path / "folder", "--json")[1]["content_digest"] == expected
    pyarrow.csv.write_csv(ROWS, tmp_path / "rows.csv")
    as_read = pyarrow.csv.read_csv(tmp_path / "rows.csv")
    found = digest(tmp_path / "rows.csv", "--json")[1]
    assert (found["content_digest"], found["rows"]) == (fingerprint_table(as_read).digest, 3)


def test_partitions_of_a_folder_are_columns_of_its_rows(digest, tmp_path):
    pq.write_to_dataset(ROWS, tmp_path / "hive", partition_cols=["a"])
    code, found, _ = digest(tmp_path / "hive", "--json")
    assert (code, found["rows"]) == (0, 3)
    assert "a=1/" in found["source_id"]


def test_one_value_more_or_less_is_another_digest(digest, written):
    first = digest(written(), "--json")[1]["content_digest"]
    other = ROWS.set_column(0, "a", pa.array([1, 2, 4]))
    assert digest(written(other), "--json")[1]["content_digest"] != first


def test_the_manifest_is_digested_without_reading_rows(digest, written):
    path = written()
    first = digest(path, "--manifest", "--json")[1]
    assert (first["rows"], first["files"], first["bytes"]) == (None, 1, path.stat().st_size)
    path.write_bytes(path.read_bytes() + b"")  # rewritten: same rows, another time
    second = digest(path, "--manifest", "--json")[1]
    assert second["content_digest"] != first["content_digest"]
    assert digest(path, "--json")[1]["content_digest"] == fingerprint_table(ROWS).digest


@pytest.mark.parametrize("form", [[], ["--json"], ["--manifest"]])
def test_what_is_no_dataset_is_wrong_input(digest, tmp_path, form):
    code, out, err = digest(tmp_path / "nowhere.parquet", *form)
    assert (code, out) == (2, "")
    assert "nowhere.parquet: no such file or folder" in err


def test_a_damaged_file_is_named(digest, written):
    path = written()
    path.write_bytes(path.read_bytes()[:-20])
    code, out, err = digest(path)
    assert (code, out) == (2, "")
    assert "rows.parquet" in err
    assert "Traceback" not in err


def test_rows_without_a_canonical_form_are_refused_by_the_columns_name(digest, written):
    code, out, err = digest(written(pa.table({"s": [{"x": 1}]})))
    assert (code, out) == (2, "")
    assert "column 's' is struct" in err

"""`ifp log compact`."""

import json

import pyarrow as pa
import pytest
from tests.log_rows import rows

from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.cli import main


@pytest.fixture
def root(tmp_path):
    for number in range(3):
        write_predictions(str(tmp_path), "fares", "production", pa.table(rows([number])))
    return tmp_path


def test_it_merges_tells_what_it_did_and_names_what_it_could_not_read(root, capsys):
    (next(root.rglob("hour=05")) / "bad.parquet").write_bytes(b"nothing")
    assert main(["log", "compact", str(root), "--json"]) == 0
    out, err = capsys.readouterr()
    done = json.loads(out)
    assert {name: done[name] for name in ("merged", "written", "rows", "removed")} == {
        "merged": 3,
        "written": 1,
        "rows": 3,
        "removed": 0,
    }
    assert [path.rpartition("/")[2] for path in done["unreadable"]] == ["bad.parquet"]
    assert "bad.parquet cannot be read and was left as it is" in err
    assert main(["log", "compact", str(root), "--keep", "0m"]) == 0
    assert (
        capsys.readouterr().out == "merged 0 files into 0 (0 rows); deleted 3 that had been merged before\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--older-than", "soon"], "expected a duration such as 30m"),
        (["--model", "gone"], "has no folder model=gone"),
    ],
)
def test_wrong_use_ends_with_2_and_one_line(root, capsys, arguments, told):
    try:
        code = main(["log", "compact", str(root), *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert told in capsys.readouterr().err

"""The prediction log's compaction as an Airflow task."""

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.log_rows import rows

from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.operators.log import CompactLogOperator

pytestmark = pytest.mark.airflow


def test_a_task_compacts_the_log_and_returns_what_it_did(tmp_path):
    for number in range(3):
        write_predictions(str(tmp_path), "fares", "production", pa.table(rows([number])))
    task = CompactLogOperator(task_id="compact_log", root=str(tmp_path), model="fares")
    done = task.execute({})
    assert done == {"merged": 3, "written": 1, "rows": 3, "removed": 0, "unreadable": []}
    assert len(list(tmp_path.rglob("compact-*.parquet"))) == 1


def test_the_root_may_be_airflows_setting(tmp_path, monkeypatch):
    with pytest.raises(AirflowFailException, match="no root"):
        CompactLogOperator(task_id="compact_log").execute({})
    monkeypatch.setenv("AIRFLOW__IFP__PREDICTIONS", str(tmp_path))
    with pytest.raises(PredictionLogError, match="has no folder"):
        CompactLogOperator(task_id="compact_log").execute({})


def test_a_wrong_duration_fails_without_retries(tmp_path):
    task = CompactLogOperator(task_id="compact_log", root=str(tmp_path), keep="long")
    with pytest.raises(AirflowFailException, match="older_than, keep: expected a duration"):
        task.execute({})

"""A batch of requests, answered by a model of the test's own; its rows for the log, and its warm-up."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.log.schema import conform_rows
from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_numbers
from airflow_provider_ifp.serving.log.rows import read_rows
from airflow_provider_ifp.serving.messages import OPEN_INFERENCE, SCORING, Ask, Request
from airflow_provider_ifp.serving.worker.answering import Served
from airflow_provider_ifp.serving.worker.columns import CATEGORY, Column, Columns
from airflow_provider_ifp.serving.worker.warm_up import SIZES, warm_up

COLUMNS = Columns.of([Column("price", pa.float64()), Column("count", pa.int64()), Column("kind", CATEGORY)])


class Model:
    """Answers as it is told, and keeps the sizes of the frames that it saw."""

    def __init__(self, answer):
        self.answer = answer
        self.sizes = []

    def predict(self, frame):
        self.sizes.append(len(frame))
        return self.answer(frame)


def doubled(frame):
    if (frame["price"] < 0).any():
        raise ValueError("negative")
    return pd.DataFrame({"prediction": frame["price"] * 2})


def served(answer, columns=COLUMNS):
    return Served("fares", "3", Model(answer), columns, logs=True)


def scoring(*records):
    body = json.dumps({"dataframe_records": list(records)}).encode()
    return Request(SCORING, body, -1, f"request-{len(body)}-{body[-12:-3]!r}", 1_700_000_000_000_000)


def row(price, count=1, kind="a"):
    return {"price": price, "count": count, "kind": kind}


def test_requests_that_make_the_same_frame_are_answered_by_one_call():
    version = served(doubled)
    answered = version.answer(
        Ask(7, [scoring(row(1.0)), scoring(row(2.0), row(3.0)), scoring(row(4.0, None))])
    )
    assert [json.loads(reply.body)["predictions"] for reply in answered.replies] == [
        [{"prediction": 2.0}],
        [{"prediction": 4.0}, {"prediction": 6.0}],
        [{"prediction": 8.0}],
    ]
    assert version.predictor.sizes == [3, 1]  # a missing count makes another frame
    assert (answered.batch, answered.rows) == (7, 4)


def test_each_request_gets_its_own_error_in_its_own_protocol():
    asked = {"inputs": [{"name": "price", "datatype": "FP64", "shape": [1], "data": [1]}]}
    version = served(doubled)
    requests = [
        scoring(row(1.0)),
        scoring(row(-1.0)),
        scoring(row("x")),
        Request(SCORING, b"{", -1, "b", 0),
        Request(OPEN_INFERENCE, json.dumps(asked).encode(), -1, "c", 0),
    ]
    answered = version.answer(Ask(1, requests))
    assert [reply.status for reply in answered.replies] == [200, 500, 422, 400, 422]
    assert json.loads(answered.replies[1].body) == {
        "error_code": "INTERNAL_ERROR",
        "message": "the model failed: ValueError: negative",
    }
    assert json.loads(answered.replies[4].body) == {
        "error": "column 'count' is missing; the request has 'price'"
    }


def test_a_request_without_rows_is_answered_without_the_model():
    version = served(doubled)
    answered = version.answer(Ask(1, [scoring()]))
    assert json.loads(answered.replies[0].body) == {"predictions": []}
    assert (version.predictor.sizes, answered.log) == ([], b"")


@pytest.mark.parametrize(
    ("answers", "prediction", "score"),
    [
        ({"prediction": [1, 2]}, [1.0, 2.0], [None, None]),
        ({"prediction": ["yes", "no"], "score": [0.9, 0.1]}, ["yes", "no"], [0.9, 0.1]),
        ({"prediction": [True, False]}, [1.0, 0.0], [None, None]),
        ({"prediction": [0, 1], "score": [[0.9, 0.1], [0.2, 0.8]]}, [0.0, 1.0], [[0.9, 0.1], [0.2, 0.8]]),
        ({"prediction": np.array([np.float64(1.5), np.nan], dtype=object)}, [1.5, None], [None, None]),
    ],
)
def test_rows_of_the_log_have_its_columns_and_types(answers, prediction, score):
    version = served(lambda _: pd.DataFrame(answers))
    answered = version.answer(Ask(1, [scoring(row(1.0)), scoring(row(2.0, kind=None))]))
    (table,) = read_rows(answered.log)
    assert table["place"].to_pylist() == [0, 1]
    rows = conform_rows(table.drop_columns(["place"])).to_pylist()
    assert [one["prediction"] for one in rows] == prediction
    assert [one["score"] for one in rows] == score
    assert [one["features"] for one in rows] == [row(1.0), row(2.0, kind=None)]
    assert [(one["row"], one["model_version"], one["batch_rows"], one["status"]) for one in rows] == [
        (0, "3", 2, 200)
    ] * 2


def test_a_request_that_the_model_failed_on_is_logged_without_an_answer():
    answered = served(doubled).answer(Ask(1, [scoring(row(-1.0), row(-2.0)), scoring(row(1.0))]))
    tables = read_rows(answered.log)
    found = {
        (place, status): prediction
        for table in tables
        for place, status, prediction in zip(
            *(table[name].to_pylist() for name in ("place", "status", "prediction")), strict=True
        )
    }
    assert found == {(0, 500): None, (1, 200): 2.0}


def test_a_model_without_columns_of_its_own_sees_what_the_caller_sends():
    version = served(lambda frame: pd.DataFrame({"prediction": frame.iloc[:, 0]}), Columns.of([]))
    bodies = [{"a": 1}, {"a": 2}, {"b": "x"}]
    answered = version.answer(Ask(1, [scoring(body) for body in bodies]))
    assert [json.loads(reply.body)["predictions"][0]["prediction"] for reply in answered.replies] == [
        1,
        2,
        "x",
    ]
    assert version.predictor.sizes == [2, 1]


PROFILE = {
    "price": profile_numbers("price", np.arange(100) / 2),
    "count": profile_numbers("count", np.arange(100.0)),
    "kind": profile_categories("kind", {"a": 60, "b": 40}, 0),
}


def test_a_version_is_asked_small_and_large_batches_of_what_it_was_trained_on():
    seen = []

    def answer(frame):
        seen.append(frame)
        return pd.DataFrame({"prediction": ["x"] * len(frame), "score": [[0.5, 0.5]] * len(frame)})

    version = served(answer)
    warmth = warm_up(version, PROFILE)
    assert version.predictor.sizes == list(SIZES)
    assert {name: sorted(set(seen[-1][name]))[:2] for name in seen[-1]} == {
        "price": [pytest.approx(4.95), pytest.approx(9.9)], "count": [10, 20], "kind": ["a", "b"],
    }  # fmt: skip
    assert [(one.name, one.datatype, one.shape) for one in warmth.outputs] == [
        ("prediction", "BYTES", [-1]),
        ("score", "FP64", [-1, 2]),
    ]


def test_a_model_whose_batch_is_frozen_is_refused():
    def frozen(frame):
        if len(frame) != 1:
            raise RuntimeError("expected batch 1")
        return pd.DataFrame({"prediction": [1.0]})

    with pytest.raises(ModelError, match="does not answer a batch of 2 rows: RuntimeError: expected batch 1"):
        warm_up(served(frozen), PROFILE)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: pd.DataFrame({"prediction": [1.0]}), "the model answered 1 rows for 2"),
        (lambda frame: np.ones(len(frame)), "the model answered ndarray, expected a frame with 'prediction'"),
    ],
)
def test_a_model_that_answers_another_shape_is_refused_even_on_made_up_rows(answer, said):
    with pytest.raises(ModelError, match=said):
        warm_up(served(answer), {})


def test_a_model_that_raises_on_made_up_rows_is_not_blamed():
    def particular(frame):
        return pd.DataFrame({"prediction": frame["kind"].map({"a": 1}).astype(int)})

    warmth = warm_up(served(particular), {})
    assert "made-up rows could not be answered" in warmth.unsure


@pytest.mark.parametrize(
    "body",
    [b"[" * 5_000, b'{"dataframe_records":' + b"[" * 100_000, b'{"inputs":[{"x":'],
)
@pytest.mark.parametrize("protocol", [SCORING, OPEN_INFERENCE])
def test_a_body_of_garbage_is_refused_and_ends_no_process(protocol, body):
    refused, answered = (
        served(doubled).answer(Ask(1, [Request(protocol, body, -1, "a", 0), scoring(row(1.0))])).replies
    )
    assert (refused.status // 100, answered.status) == (4, 200)


@pytest.mark.parametrize(
    ("answers", "logged"),
    [([1.0, "many"], ["1.0", "many"]), ([{"a": 1}, 2], ["{'a': 1}", "2"]), ([None, "b"], [None, "b"])],
)
def test_answers_of_several_types_are_logged_as_text(answers, logged):
    def mixed(_):
        return pd.DataFrame({"prediction": pd.Series(answers, dtype=object)})

    (rows,) = read_rows(served(mixed).answer(Ask(1, [scoring(row(1.0), row(2.0))])).log)
    assert rows["prediction"].to_pylist() == logged


def test_answers_that_no_log_can_hold_are_given_all_the_same():
    def when(frame):
        return pd.DataFrame({"prediction": pd.to_datetime(["2026-11-26"] * len(frame))})

    answered = served(when).answer(Ask(1, [scoring(row(1.0))]))
    assert (answered.replies[0].status, answered.log, answered.rows) == (200, b"", 1)

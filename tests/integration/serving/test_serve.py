"""`ifp serve` as its callers see it, in the order in which a day might go."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
import requests
import tritonclient.http as triton
from tests.shop import DIES, RAISES, SLEEPS, habitual

pytestmark = pytest.mark.server

FRAME = pd.DataFrame({"price": [1.5, 2.0], "count": [1, 2], "kind": ["a", "b"]})


def test_mlflows_own_client_works_unchanged(shop):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient  # after the fixture that quiets it

    host, port = shop.url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=10)
    client.get_version()
    answered = client.invoke(FRAME).get_predictions()
    pd.testing.assert_frame_equal(answered, pd.DataFrame({"prediction": [4.5, 6.0], "score": [True, False]}))


def test_a_request_keeps_its_id_and_is_told_the_version(shop):
    reply = shop.ask(1.0, headers={"x-request-id": "order-66"})
    assert (reply.status_code, reply.headers["x-request-id"]) == (200, "order-66")
    assert reply.headers["x-model-version"] == "1"
    first, second = (shop.ask(1.0).headers["x-request-id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_tritons_client_works_unchanged(shop, binary):
    with triton.InferenceServerClient(shop.url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(shop.model)
        assert client.is_model_ready(shop.model, "1")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        described = client.get_model_metadata(shop.model)
        inputs = []
        for tensor in described["inputs"]:
            values = FRAME[tensor["name"]].to_numpy()
            if tensor["datatype"] == "BYTES":
                values = np.array([value.encode() for value in values], dtype=object)
            one = triton.InferInput(tensor["name"], [2], tensor["datatype"])
            one.set_data_from_numpy(values, binary_data=binary)
            inputs.append(one)
        outputs = [triton.InferRequestedOutput(t["name"], binary_data=binary) for t in described["outputs"]]
        result = client.infer(shop.model, inputs, "1", outputs=outputs, request_id="9")
        assert result.as_numpy("prediction").tolist() == [4.5, 6.0]
        assert result.as_numpy("score").tolist() == [True, False]
        assert result.get_response()["id"] == "9"
    assert [tensor["datatype"] for tensor in described["inputs"]] == ["FP64", "INT64", "BYTES"]
    assert [tensor["datatype"] for tensor in described["outputs"]] == ["FP64", "BOOL"]


GOOD = {"price": 1.0, "count": 2, "kind": "a"}


@pytest.mark.parametrize(
    ("record", "status", "said"),
    [
        ({**GOOD, "price": "dear"}, 422, "column 'price', row 0: expected a number, found 'dear'"),
        ({**GOOD, "count": 2.5}, 422, "column 'count', row 0: expected a whole number, found 2.5"),
        (
            {**GOOD, "kind": None, "count": "2"},
            422,
            "column 'count', row 0: expected a whole number, found '2'",
        ),
        ({"price": 1.0, "kind": "a"}, 422, "column 'count' is missing; the request has 'price', 'kind'"),
        ([1.0], 400, "'dataframe_records', row 0: expected an object, found list"),
        ({**GOOD, "price": RAISES}, 500, "the model failed: ValueError: this price cannot be"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong_with_which_column(shop, record, status, said):
    reply = requests.post(f"{shop.url}/invocations", json={"dataframe_records": [record]}, timeout=30)
    assert (reply.status_code, reply.json()["message"]) == (status, said)


def test_a_bad_request_takes_no_answer_from_those_beside_it(shop):
    prices = [SLEEPS, *([1.0, RAISES] * 10)]  # while the first one is answered the others gather
    with ThreadPoolExecutor(len(prices)) as pool:
        replies = list(pool.map(shop.ask, prices))
    assert [reply.status_code for reply in replies] == [200, *([200, 500] * 10)]


def test_a_version_is_swapped_under_load_and_no_request_fails(shop):
    second = shop.add(habitual(5.0, str(shop.kills)))
    seen, stop = [], threading.Event()

    def keep_asking():
        with requests.Session() as session:
            while not stop.is_set():
                reply = session.post(
                    f"{shop.url}/invocations", json={"dataframe_records": [GOOD]}, timeout=30
                )
                answer = reply.json()["predictions"][0]["prediction"] if reply.ok else reply.text
                seen.append((reply.status_code, reply.headers.get("x-model-version"), answer))

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    shop.promote(second, "production")
    shop.wait_until(lambda: shop.version()["version"] == second, "the swap")
    time.sleep(0.3)
    stop.set()
    for asker in askers:
        asker.join()
    assert set(seen) == {(200, "1", 3.0), (200, second, 5.0)}
    assert shop.metric("ifp_swaps_total") == 1.0
    shop.wait_until(lambda: len(shop.workers()) == 1, "the old version's process to end")


def test_versions_that_cannot_answer_are_refused_and_the_one_before_stays(shop):
    serving = shop.version()["version"]
    damaged, wordless = shop.add(habitual(7.0)), shop.add(habitual(None))
    shop.proxy.close()  # so that the server comes too late to see it whole
    shop.promote(damaged, "production")
    shop.damage(damaged)
    shop.proxy.open()
    assert "not those that were registered" in refusal(shop, damaged)
    shop.promote(wordless, "production")
    assert "it does not answer a batch of 1 rows: TypeError" in refusal(shop, wordless)
    assert shop.metric('ifp_version_refused{reason="it does not answer') == 1.0
    assert shop.ask(1.0).headers["x-model-version"] == serving
    shop.roll_back(serving)


def refusal(shop, version):
    shop.wait_until(lambda: version in shop.version()["refused"]["production"], f"{version} to be refused")
    return shop.version()["refused"]["production"][version]


def test_a_killed_process_is_replaced_and_its_requests_are_answered(shop):
    shop.wait_until(lambda: len(shop.workers()) == 1, "the last swap's process to end")
    (worker,) = shop.workers()
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(shop.ask, price) for price in [SLEEPS, *[1.0] * 7]]
        time.sleep(0.2)
        os.kill(worker, signal.SIGKILL)
        assert [reply.result().status_code for reply in replies] == [200] * 8
    assert shop.metric("ifp_worker_restarts_total") == 1.0


def test_a_request_that_kills_the_process_twice_is_given_up_and_no_other(shop):
    with ThreadPoolExecutor(4) as pool:
        replies = [pool.submit(shop.ask, price) for price in [SLEEPS, 1.0, DIES, 2.0]]
        statuses = [reply.result().status_code for reply in replies]
    assert statuses == [200, 200, 500, 200]
    assert "ended twice" in replies[2].result().json()["message"]
    assert shop.kills.read_text() == "xx"


def test_the_shadow_answers_each_request_too_and_nobody_sees_it(shop):
    shadow = shop.add(habitual(11.0))
    shop.promote(shadow, "shadow")
    shop.wait_until(lambda: shop.version()["stages"]["shadow"] == shadow, "the shadow")
    said = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    headers = {"x-request-id": "twice", "x-request-time": said.isoformat()}
    reply = shop.ask(1.0, 2.0, headers=headers)
    assert [one["prediction"] for one in reply.json()["predictions"]] == [5.0, 10.0]
    shop.wait_until(
        lambda: shop.metric('ifp_log_rows_total{outcome="seen",stage="shadow"}') == 2.0, "its answer"
    )
    assert shop.metric('ifp_mirrored_requests_total{outcome="dropped"}') == 0.0


def test_the_registry_may_go_away_and_the_server_start_again(shop):
    serving = shop.version()["version"]
    shop.proxy.close()
    shop.wait_until(lambda: shop.version()["registry"] != "answers", "the registry to be missed")
    assert shop.ask(1.0).status_code == 200
    assert shop.metric("ifp_registry_up") == 0.0
    # It stops in order: what is under way is answered.
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(shop.ask, SLEEPS, headers={"x-request-id": "the last one"})
        time.sleep(0.2)
        assert shop.stop() == 0
        assert last.result().status_code == 200
    shop.start("--mirror")
    assert shop.version()["version"] == serving
    assert shop.ask(1.0).headers["x-model-version"] == serving
    assert shop.stop() == 0


def test_the_log_has_every_answer_once_with_what_was_asked(shop):
    rows = ds.dataset(shop.log, format="parquet", partitioning="hive").to_table().to_pylist()
    names = [(row["stage"], row["request_id"], row["row"]) for row in rows]
    assert len(set(names)) == len(names)
    twice = {(row["stage"], row["row"]): row for row in rows if row["request_id"] == "twice"}
    assert sorted(twice) == [("production", 0), ("production", 1), ("shadow", 0), ("shadow", 1)]
    assert {key: row["prediction"] for key, row in twice.items()} == {
        ("production", 0): 5.0, ("production", 1): 10.0, ("shadow", 0): 11.0, ("shadow", 1): 22.0,
    }  # fmt: skip
    for row in twice.values():
        assert row["ts"] == datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
        assert (row["batch_rows"], row["status"], row["score"]) == (2, 200, 1.0)
        assert 0 < row["compute_us"] <= row["e2e_us"]
        assert row["features"] == {"price": row["row"] + 1.0, "count": 2, "kind": "a"}
    assert [row["status"] for row in rows if row["features"]["price"] == RAISES] == [500] * 11
    last = [row["stage"] for row in rows if row["request_id"] == "the last one"]
    assert sorted(last) == ["production", "shadow"]

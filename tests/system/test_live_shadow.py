"""The loop with a shadow that a real server mirrors to: staging, shadow, production, and nobody notices."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.compute as pc
import pytest
import requests

from airflow_provider_ifp.adapters.log.predictions import read_log
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.demo.services import free_port, own_environment

pytestmark = [pytest.mark.server, pytest.mark.airflow, pytest.mark.timeout(300)]

DAG = "live-training-dag"
MIN_PAIRS = 400
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
TILT = 0.01
"""What the candidate's slope has more: answers that are others, and not worth a word."""


class Asker:
    """One-row requests, each a tenth of a second after the one before until it is told to hurry.

    They say that each comes ten seconds after the one before: an hour of the log takes no hour.
    """

    def __init__(self, url):
        self.url = url
        self.seen = []
        self.pause = 0.1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _ask(self):
        values = np.random.default_rng(3)
        time_said = datetime.now(UTC)
        with requests.Session() as session:
            while not self._stop.wait(self.pause):
                x = values.normal()
                time_said += timedelta(seconds=10)
                session.headers["x-request-time"] = time_said.isoformat()
                body = {"dataframe_records": [{"x": x}]}
                reply = session.post(f"{self.url}/invocations", json=body, timeout=30)
                answer = reply.json()["predictions"][0]["prediction"] if reply.ok else reply.text
                self.seen.append((reply.status_code, reply.headers.get("x-model-version"), x, answer))


@contextmanager
def serving(loop):
    """A server of `live`, which logs each second; it is asked to end, and flushes its log."""
    port = free_port()
    options = ["--trust-request-time", "--policy", str(loop.home / "dags" / "policies" / "live.yaml")]
    options += ["--cache", str(loop.home / "cache"), "--poll", "0.3", "--roll", "1"]
    words = ["-m", "airflow_provider_ifp", "serve", "live", "--port", str(port), *options]
    words += ["--tracking-uri", loop.registry.uri]
    server = loop.services.start("serve-live", words, own_environment())
    url = f"http://127.0.0.1:{port}"
    try:
        loop.services.wait_until(
            lambda: requests.get(f"{url}/ping", timeout=5).ok, what="the server", seconds=60
        )
        yield url
    finally:
        loop.services.started.remove(server)
        server.process.terminate()
        assert server.process.wait(60) == 0


def line_of(rows):
    """Slope and offset of answers, which lie on a line."""
    (slope, offset), rest, *_ = np.polyfit(*np.transpose(rows), 1, full=True)
    assert rest.sum() < 1e-12
    return slope, offset


def test_a_candidate_shadows_until_enough_was_asked_then_answers_and_no_request_fails(loop, others):
    first = loop.end(DAG, others["live"])
    assert first.tasks["shadow"] == "success"
    assert loop.api.result(DAG, first.id, "shadow")["reason"].startswith("no production version yet")
    with serving(loop) as url, Asker(url) as asker:
        looks = []

        def look(run_id):
            task = loop.api._get(f"dags/{DAG}/dagRuns/{run_id}/taskInstances/shadow")
            stages = requests.get(f"{url}/version", timeout=5).json()["stages"]
            if task["state"] == "deferred" and stages["shadow"] == "2":
                looks.append((task["trigger"]["classpath"], stages["production"]))
            if len(looks) == 5:
                asker.pause = 0.002

        second = loop.run(DAG, force=True, train_params={"tilt": TILT}, on_look=look)
        loop.services.wait_until(lambda: asker.seen[-1][1] == "2", what="the swap", seconds=30)
        time.sleep(0.5)
    assert set(looks) == {("airflow_provider_ifp.triggers.shadow.ShadowTrigger", "1")}
    assert set(second.tasks.values()) == {"success"}
    assert "; looking again in 1 s" in loop.api.log(DAG, second.id, "shadow")
    verdict = loop.api.result(DAG, second.id, "shadow")
    assert (verdict["verdict"], verdict["version"], verdict["compared_to"]) == ("pass", "2", "1")
    require_judged_once(loop, verdict)
    require_unseen(loop, asker.seen)


def require_judged_once(loop, verdict):
    """On enough pairs, and by one event of the ledger between the two moves."""
    (pairs,) = (check["rows"] for check in verdict["checks"] if check["name"] == "error_rate")
    assert pairs >= MIN_PAIRS
    events = [event for event in read_ledger(loop.registry, "live").events if event.version == "2"]
    assert [(event.action, event.target) for event in events] == [
        ("judge", None),
        ("promote", "staging"),
        ("promote", "shadow"),
        ("judge", None),
        ("promote", "production"),
    ]
    assert loop.registry.aliases("live") == {"production": "2"}


def require_unseen(loop, seen):
    """Version 1 answered all callers until 2 did; what 2 answered before is in the log alone."""
    assert {status for status, *_ in seen} == {200}
    versions = [version for _, version, *_ in seen]
    assert versions == sorted(versions)
    lines = {
        number: line_of([(x, answer) for _, version, x, answer in seen if version == number])
        for number in "12"
    }
    assert lines["2"][0] - lines["1"][0] == pytest.approx(TILT, abs=1e-3)
    rows = read_log(
        str(loop.home / "predictions"), "live", "shadow", Window(None, NEVER), ["x"],
        log_columns=["model_version", "prediction"],
    )  # fmt: skip
    assert pc.unique(rows["model_version"]).to_pylist() == ["2"]
    shadow = line_of(list(zip(rows["x"].to_pylist(), rows["prediction"].to_pylist(), strict=True)))
    assert shadow == pytest.approx(lines["2"])

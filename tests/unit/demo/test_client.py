"""The demo's users, against a server that answers them as they deserve."""

import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from airflow_provider_ifp.demo.client import Client

DAY = datetime(2013, 7, 1, tzinfo=UTC)
FLIGHTS = pa.table(
    {
        "request_id": [f"flight-{number}" for number in range(100)],
        "ts": pa.array([DAY.replace(hour=number % 24) for number in range(100)], pa.timestamp("us", "UTC")),
        "block": [float(number) for number in range(100)],
        "air_time": [0.0] * 100,
    }
)


class Server(ThreadingHTTPServer):
    """Answers with `version`; what it got is in `seen`."""

    version, seen, request_queue_size = "1", (), 128


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        (record,) = body["dataframe_records"]
        self.server.seen.append((self.headers["x-request-id"], self.headers["x-request-time"], record))
        status = 503 if record["block"] < 0 else 200
        self.send_response(status)
        self.send_header("content-length", "2")
        self.send_header("x-model-version", self.server.version)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server):
    return Client(f"http://127.0.0.1:{server.server_address[1]}", ["block"])


def test_each_flight_is_asked_for_once_at_its_own_time_without_its_label(server, client):
    asked = client.ask(FLIGHTS)
    assert (asked.answered, asked.failed, asked.count) == ({"1": 100}, [], 100)
    assert sorted(server.seen) == sorted(
        (f"flight-{number}", DAY.replace(hour=number % 24).isoformat(), {"block": float(number)})
        for number in range(100)
    )


def test_a_request_that_fails_is_told_with_its_status(client):
    asked = client.ask(FLIGHTS.slice(0, 1).set_column(2, "block", [[-1.0]]))
    assert (asked.answered, asked.failed, asked.count) == ({}, ["503: {}"], 1)


def test_a_server_that_is_away_fails_every_request():
    asked = Client("http://127.0.0.1:1", ["block"]).ask(FLIGHTS.slice(0, 3))
    assert len(asked.failed) == 3
    assert "127.0.0.1:1" in asked.failed[0]


def test_users_ask_again_and_again_until_the_new_version_has_answered(server, client):
    asking = client.keep_asking(FLIGHTS.slice(0, 2), DAY)
    while len(server.seen) < 5:
        assert asking._thread.is_alive()
        time.sleep(0.01)
    server.version = "2"
    asked = asking.until_answered_by("2")
    assert list(asked.answered) == ["1", "2"]
    assert asked.answered["2"] >= 50
    assert asked.failed == []
    ids = [name for name, _, _ in server.seen]
    assert ids[:3] == ["flight-0-again-0", "flight-1-again-1", "flight-0-again-2"]
    assert {time for _, time, _ in server.seen} == {DAY.isoformat()}

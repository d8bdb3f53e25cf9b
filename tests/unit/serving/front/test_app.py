"""What the front says by itself, before any version answers."""

import asyncio
import time

import httpx
import pytest

from airflow_provider_ifp.serving.cache import VersionCache
from airflow_provider_ifp.serving.front.app import build_app
from airflow_provider_ifp.serving.front.lane import Call
from airflow_provider_ifp.serving.front.options import ServeOptions
from airflow_provider_ifp.serving.front.state import State
from airflow_provider_ifp.serving.front.workers import Spare
from airflow_provider_ifp.serving.messages import (
    Cleared,
    Found,
    NotFetched,
    RegistrySeen,
    Request,
    UnknownModel,
)

BODY = b'{"inputs": [[1]]}'
JSON = {"content-type": "application/json"}


@pytest.fixture
def state(tmp_path):
    """Builds what the front knows; nothing is started."""

    def build(**options):
        asked = ServeOptions(model="fares", cache=tmp_path, **options)
        return State(
            asked, Spare(), VersionCache(tmp_path, "http://registry", "fares"), None, failures.append
        )

    failures = []
    build.failures = failures
    return build


class Asks:
    """Asks the application without a server."""

    def __init__(self, state):
        self.app = build_app(state)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def request(self, *of, **options):
        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.request(*of, **options)

        return asyncio.run(ask())


@pytest.fixture
def client(state):
    return lambda **options: Asks(state(**options))


def test_while_no_version_answers_it_lives_and_is_not_ready(client):
    asks = client()
    assert asks.get("/v2/health/live").json() == {"live": True}
    assert [asks.get(path).status_code for path in ("/ping", "/health", "/v2/health/ready")] == [503] * 3
    assert asks.get("/v2/models/fares").status_code == 503
    reply = asks.post("/invocations", content=BODY, headers=JSON)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["message"] == "no version answers yet; /version says why"
    assert asks.get("/version").json()["version"] is None


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"content-type": "text/csv"}, 415, "Content-Type 'text/csv': expected application/json"),
        ({**JSON, "content-encoding": "gzip"}, 415, "compressed bodies are not read"),
        ({**JSON, "x-request-id": "x" * 201}, 400, "x-request-id: expected at most 200 printable"),
        ({**JSON, "x-request-time": "noon"}, 400, "x-request-time: 'noon' is no time such as"),
        ({**JSON, "x-request-time": ""}, 400, "x-request-time: '' is no time such as"),
        ({**JSON, "x-request-time": "1969-12-31T23:59:59Z"}, 400, "from 1970 to 9999"),
        ({**JSON, "x-request-time": "9999-12-31T23:00:00-02:00"}, 400, "from 1970 to 9999"),
        ({**JSON, "x-request-time": "2026-11-25T05:00:00"}, 503, "no version answers yet"),
    ],
)
def test_headers_that_cannot_be_taken_are_told(client, headers, status, said):
    reply = client(trust_request_time=True).post("/invocations", content=BODY, headers=headers)
    assert reply.status_code == status
    assert said in reply.json()["message"]


def test_a_body_past_the_limit_is_refused_with_and_without_its_length(client):
    asks = client(max_bytes=100)

    async def pieces():
        for _ in range(2):
            yield b"x" * 60

    for content in (b"x" * 101, pieces()):
        reply = asks.post("/invocations", content=content, headers=JSON)
        assert reply.status_code == 413
        assert "larger than 100 bytes (--max-bytes)" in reply.json()["message"]


def test_another_model_and_a_binary_header_that_is_none_are_told_in_the_protocols_own_way(client):
    asks = client()
    reply = asks.post("/v2/models/fairs/infer", content=BODY)
    assert (reply.status_code, reply.json()) == (
        404,
        {"error": "there is no model 'fairs' here; this server has 'fares'"},
    )
    for length in ("x", "-1", str(len(BODY) + 1), "9" * 30):
        reply = asks.post(
            "/v2/models/fares/infer", content=BODY, headers={"inference-header-content-length": length}
        )
        assert reply.status_code == 400
        assert reply.json()["error"].endswith("expected at most 17, the bytes of the body")


def test_a_refused_request_has_an_id_too(client):
    asks = client()
    for given, kept in (("order-66", True), ("x" * 201, False), ("", False)):
        reply = asks.post("/invocations", content=BODY, headers={**JSON, "x-request-id": given})
        assert (reply.headers["x-request-id"] == given) is kept
        assert reply.headers["x-request-id"]


def test_a_caller_who_stops_in_the_middle_of_a_body_is_not_waited_for(client):
    async def half():
        yield b'{"inputs"'
        await asyncio.sleep(60)

    started = time.monotonic()
    reply = client(timeout_seconds=0.1).post("/invocations", content=half(), headers=JSON)
    assert time.monotonic() - started < 10
    assert (reply.status_code, reply.headers["connection"]) == (408, "close")
    assert reply.json()["message"] == "the body did not come within 0.1 s (--timeout)"


def test_a_token_is_asked_for_everywhere_but_where_a_cluster_looks(client):
    asks = client(token="s3cret")
    assert asks.get("/v2/health/live").status_code == 200
    for given in ({}, {"authorization": "Bearer s3cre"}, {"authorization": "s3cret"}):
        reply = asks.get("/metrics", headers=given)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    right = {"authorization": "Bearer s3cret"}
    assert asks.get("/metrics", headers=right).status_code == 200
    assert asks.post("/invocations", content=BODY, headers=JSON).status_code == 401
    assert asks.post("/invocations", content=BODY, headers={**JSON, **right}).status_code == 503


def test_a_request_past_the_queue_is_told_to_come_again(state):
    known = state(queue=1)
    known.production.serving = Found("production", "3", "", "", "")

    async def ask():
        assert known.production.lane.submit(Call(Request(0, b"", -1, "", 0), 0.0, None))

    asyncio.run(ask())
    reply = Asks(known).post("/invocations", content=BODY, headers=JSON)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["message"] == "1 requests wait already; try again"


def test_what_the_follower_sees_is_shown(state):
    known = state(mirror=True)
    asks = Asks(known)
    known.on_follower(RegistrySeen("no route to host"))
    known.on_follower(NotFetched("production", "3", "its files are damaged"))
    told = asks.get("/version").json()
    assert (told["registry"], told["refused"]["production"]) == (
        "no route to host",
        {"3": "its files are damaged"},
    )
    metrics = asks.get("/metrics").text
    assert 'ifp_version_refused{reason="its files are damaged",stage="production",version="3"} 1.0' in metrics
    assert "ifp_registry_up 0.0" in metrics
    known.on_follower(RegistrySeen(""))
    assert "ifp_registry_up 1.0" in asks.get("/metrics").text


def test_a_shadow_that_is_in_production_gets_no_copies(state):
    known = state(mirror=True)
    third, fourth = (Found("shadow", number, "", "", "") for number in "34")
    known.on_follower(Found("production", "3", "", "", ""))
    known.on_follower(third)
    assert known.shadow.wanted_version is None
    known.on_follower(fourth)
    assert known.shadow.wanted_version == "4"
    known.on_follower(Cleared("shadow"))
    assert known.shadow.wanted_version is None


def test_a_model_that_the_registry_does_not_have_ends_the_server(state):
    state().on_follower(UnknownModel("there is no model 'fares'"))
    assert state.failures == ["there is no model 'fares'"]

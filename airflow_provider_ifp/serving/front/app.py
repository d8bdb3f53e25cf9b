"""The front's HTTP: routes, headers, limits. It reads no body; the worker does."""

from __future__ import annotations

import hmac
import itertools
import secrets
import time
from asyncio import get_running_loop, timeout
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_ifp.serving.front.lane import Call
from airflow_provider_ifp.serving.front.pages import UNAVAILABLE, Pages, RefusedError, require_model
from airflow_provider_ifp.serving.messages import OPEN_INFERENCE, SCORING, Reply, Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_ifp.serving.front.state import State

_INVOCATIONS = "/invocations"
_OPEN_PATHS = {"/ping", "/health", "/v2/health/live", "/v2/health/ready"}
_ID_LENGTH = 200
_TOO_SLOW = 408
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_RETRY_AFTER = b"1"
_CODES = {500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE", 504: "TEMPORARILY_UNAVAILABLE"}


def build_app(state: State) -> ASGIApp:
    """The whole application."""
    pages = Pages(state)
    model = "/v2/models/{model}"
    version = model + "/versions/{version}"
    routes = [
        Route(_INVOCATIONS, _Answers(state, SCORING), methods=["POST"]),
        Route(f"{model}/infer", _Answers(state, OPEN_INFERENCE), methods=["POST"]),
        Route(f"{version}/infer", _Answers(state, OPEN_INFERENCE), methods=["POST"]),
        Route("/ping", pages.ping),
        Route("/health", pages.ping),
        Route("/version", pages.version),
        Route("/metrics", pages.metrics),
        Route("/v2", pages.server),
        Route("/v2/health/live", pages.live),
        Route("/v2/health/ready", pages.ready),
        Route(model, pages.model),
        Route(f"{model}/ready", pages.model_ready),
        Route(version, pages.model),
        Route(f"{version}/ready", pages.model_ready),
    ]
    app: ASGIApp = _Short(state, Starlette(routes=routes))
    return app if state.options.token is None else _Guard(app, state.options.token)


class _Short:
    """Takes the path that matters past Starlette's router and middleware: they cost as much as the rest."""

    def __init__(self, state: State, app: ASGIApp) -> None:
        self._answers = _Answers(state, SCORING)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _INVOCATIONS and scope["method"] == "POST":
            await self._answers(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Guard:
    """Asks for the bearer token, on all paths but those by which a cluster looks whether we live."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN_PATHS:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = JSONResponse(
                    {
                        "error_code": "UNAUTHENTICATED",
                        "message": "expected the header Authorization: Bearer TOKEN",
                    },
                    401,
                    {"www-authenticate": "Bearer"},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Answers:
    """`POST /invocations` and `POST /v2/models/.../infer`: an ASGI application, for each request counts."""

    def __init__(self, state: State, protocol: int) -> None:
        self._state = state
        self._protocol = protocol
        self._name = "scoring" if protocol == SCORING else "open_inference"
        # Unique among all servers, and cheaper than a UUID for each request.
        prefix = secrets.token_hex(8)
        self._ids = (f"{prefix}-{number:x}" for number in itertools.count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        name = next(self._ids)
        try:
            name = _checked_id(headers.get(b"x-request-id")) or name
            self._require_here(scope)
            async with timeout(self._state.options.timeout_seconds):
                body = await _read_body(receive, headers, self._state.options.max_bytes)
            request = self._request(headers, body, name)
            reply, version = await self._ask(request, arrived)
        except RefusedError as error:
            reply, version = self._refuse(error.status, str(error)), ""
        except TimeoutError:
            within = f"{self._state.options.timeout_seconds:g} s (--timeout)"
            reply, version = self._refuse(_TOO_SLOW, f"the body did not come within {within}"), ""
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": _headers(reply, name, version)}
        )
        await send({"type": "http.response.body", "body": reply.body})
        self._state.metrics.count_request(self._name, reply.status, time.monotonic() - arrived)

    async def _ask(self, request: Request, arrived: float) -> tuple[Reply, str]:
        seat = self._state.production
        if seat.serving is None:
            raise RefusedError(UNAVAILABLE, "no version answers yet; /version says why")
        answer: asyncio.Future[tuple[Reply, str]] = _future()
        if not seat.lane.submit(Call(request, arrived, answer)):
            raise RefusedError(UNAVAILABLE, f"{self._state.options.queue} requests wait already; try again")
        reply, version = await answer
        if not version:
            raise RefusedError(reply.status, reply.body.decode())
        return reply, version

    def _require_here(self, scope: Scope) -> None:
        if self._protocol == OPEN_INFERENCE:
            require_model(self._state, scope["path_params"])

    def _request(self, headers: Mapping[bytes, bytes], body: bytes, name: str) -> Request:
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RefusedError(415, "compressed bodies are not read; send it without Content-Encoding")
        header_length = -1
        if self._protocol == SCORING:
            kind = headers.get(b"content-type", b"application/json")
            if b"json" not in kind:
                raise RefusedError(415, f"Content-Type {kind.decode('latin-1')!r}: expected application/json")
        elif given := headers.get(b"inference-header-content-length"):
            if not given.isdigit() or int(given) > len(body):
                raise RefusedError(
                    400,
                    f"Inference-Header-Content-Length is {given.decode('latin-1')!r}: expected at most "
                    f"{len(body)}, the bytes of the body",
                )
            header_length = int(given)
        ts = time.time_ns() // 1000
        if self._state.options.trust_request_time and (said := headers.get(b"x-request-time")) is not None:
            ts = _microseconds(said)
        return Request(self._protocol, body, header_length, name, ts)

    def _refuse(self, status: int, reason: str) -> Reply:
        code = _CODES.get(status, "BAD_REQUEST")
        if self._protocol == OPEN_INFERENCE:
            return Reply(status, msgspec.json.encode({"error": reason}))
        return Reply(status, msgspec.json.encode({"error_code": code, "message": reason}))


async def _read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    too_large = f"the body is larger than {limit} bytes (--max-bytes); send fewer rows at once"
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise RefusedError(413, too_large)
    message = await receive()
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the caller went away before the body was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise RefusedError(413, too_large)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _headers(reply: Reply, name: str, version: str) -> list[tuple[bytes, bytes]]:
    binary = reply.header_length >= 0
    headers = [
        (b"content-type", b"application/octet-stream" if binary else b"application/json"),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", name.encode("ascii")),
    ]
    if version:
        headers.append((b"x-model-version", version.encode()))
    if binary:
        headers.append((b"inference-header-content-length", b"%d" % reply.header_length))
    if reply.status == UNAVAILABLE:
        headers.append((b"retry-after", _RETRY_AFTER))
    elif reply.status == _TOO_SLOW:
        headers.append((b"connection", b"close"))
    return headers


def _checked_id(identity: bytes | None) -> str:
    if not identity:
        return ""
    if len(identity) > _ID_LENGTH or not identity.isascii() or not identity.decode("ascii").isprintable():
        raise RefusedError(400, f"x-request-id: expected at most {_ID_LENGTH} printable characters of ASCII")
    return identity.decode("ascii")


def _microseconds(said: bytes) -> int:
    """Microseconds since 1970 of a time that the log has a folder for."""
    try:
        time_said = datetime.fromisoformat(said.decode("ascii"))
    except ValueError:
        time_said = _NEVER
    if time_said.tzinfo is None:
        time_said = time_said.replace(tzinfo=UTC)
    if not _EPOCH <= time_said <= _LAST:
        raise RefusedError(
            400,
            f"x-request-time: {said.decode('latin-1')!r} is no time such as 2026-11-25T05:00:00Z, from 1970 "
            "to 9999",
        )
    since = time_said - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _future() -> asyncio.Future[tuple[Reply, str]]:
    return get_running_loop().create_future()

"""What can be looked at: readiness, versions, metrics, the open inference protocol's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from airflow_provider_ifp import __version__
from airflow_provider_ifp.serving.front.gauges import Gauges
from airflow_provider_ifp.serving.front.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request as HttpRequest

    from airflow_provider_ifp.serving.front.state import State

UNAVAILABLE = 503


class RefusedError(Exception):
    """The front itself answers this request, with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Pages:
    """What can be looked at."""

    def __init__(self, state: State) -> None:
        self._state = state
        state.metrics.register(Gauges(state))

    async def ping(self, _: HttpRequest) -> Response:
        """MLflow's name for ready."""
        return self._readiness()

    async def live(self, _: HttpRequest) -> Response:
        """The process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _: HttpRequest) -> Response:
        """A version answers."""
        return self._readiness()

    async def version(self, _: HttpRequest) -> Response:
        """Which version answers at which stage, and which were refused and why."""
        state = self._state
        return JSONResponse(
            {
                "model": state.options.model,
                "version": state.production.serving.version if state.production.serving else None,
                "stages": {
                    seat.stage: seat.serving.version if seat.serving else None for seat in state.seats
                },
                "refused": {
                    seat.stage: {number: refusal.reason for number, refusal in seat.refused.items()}
                    for seat in state.seats
                },
                "registry": state.registry_trouble or "answers",
                "server": f"ifp {__version__}",
            }
        )

    async def metrics(self, _: HttpRequest) -> Response:
        """For Prometheus."""
        return Response(self._state.metrics.text(), media_type=CONTENT_TYPE)

    async def server(self, _: HttpRequest) -> Response:
        """The protocol's metadata of the server."""
        return JSONResponse({"name": "ifp", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def model(self, request: HttpRequest) -> Response:
        """The protocol's metadata of the model: what it takes, and what it answers."""
        try:
            require_model(self._state, request.path_params)
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)
        seat = self._state.production
        worker = seat.worker
        if worker is None or worker.opened is None:
            return JSONResponse({"error": "no version answers yet"}, UNAVAILABLE)
        return JSONResponse(
            {
                "name": self._state.options.model,
                "versions": [worker.found.version],
                "platform": "mlflow_pyfunc",
                "inputs": msgspec.to_builtins(worker.opened.inputs),
                "outputs": msgspec.to_builtins(worker.opened.outputs),
            }
        )

    async def model_ready(self, request: HttpRequest) -> Response:
        """This model, and this version if one is named, answers here."""
        try:
            require_model(self._state, request.path_params)
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)
        return self._readiness()

    def _readiness(self) -> Response:
        ready = self._state.production.worker is not None
        return JSONResponse({"ready": ready}, 200 if ready else UNAVAILABLE)


def require_model(state: State, names: Mapping[str, str]) -> None:
    """Make sure that the model, and the version if one is named, are those that answer here.

    Raises:
        RefusedError: they are not.
    """
    model, version = names["model"], names.get("version")
    if model != state.options.model:
        raise RefusedError(404, f"there is no model {model!r} here; this server has {state.options.model!r}")
    serving = state.production.serving
    if version is not None and serving is not None and version != serving.version:
        raise RefusedError(404, f"version {version} does not answer here; version {serving.version} does")

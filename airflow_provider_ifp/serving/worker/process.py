"""A version's process: opens it, warms it up, and answers what the front sends, one batch after the other.

It is forked from the spare (`spare`) and has one socket, to the front; when that closes, it ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, StoredModel
from airflow_provider_ifp.core.errors import DigestMismatchError, IfpError, ModelError
from airflow_provider_ifp.serving.messages import Ask, Hello, Open, Opened, Refused, Tensor
from airflow_provider_ifp.serving.wire import pack, receive
from airflow_provider_ifp.serving.worker.answering import Served
from airflow_provider_ifp.serving.worker.columns import read_columns, read_profile
from airflow_provider_ifp.serving.worker.warm_up import warm_up
from airflow_provider_ifp.training.loading import open_model
from airflow_provider_ifp.training.registration import require_whole

if TYPE_CHECKING:
    import socket

_YIELDING = 10
"""Niceness of a process that nobody waits for."""


def run_worker(connection: socket.socket) -> None:
    """Open what the first message names, then answer until the socket closes."""
    connection.sendall(pack(Hello(os.getpid())))
    served = None
    for message in receive(connection):
        if isinstance(message, Open):
            if message.yields:
                os.nice(_YIELDING)
            served, answer = open_version(message)
            connection.sendall(pack(answer))
        elif isinstance(message, Ask) and served is not None:
            connection.sendall(pack(served.answer(message)))


def open_version(opening: Open) -> tuple[Served | None, Opened | Refused]:
    """Verify, open and warm up a version; whatever is wrong with it is told, not raised."""
    started = time.monotonic()
    try:
        _verify(opening)
        model = open_model(Path(opening.folder))
        features = read_profile(Path(opening.profile) if opening.profile else None)
        columns = read_columns(model.metadata.get_input_schema(), features)
        served = Served(opening.model, opening.version, _unwrapped(model), columns, logs=opening.log)
        warmth = warm_up(served, features)
    except IfpError as error:
        return None, Refused(str(error), damaged=isinstance(error, DigestMismatchError))
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything while it is opened
        return None, Refused(f"{type(error).__name__}: {error}")
    inputs = [Tensor(column.name, column.datatype, [-1]) for column in columns.all]
    return served, Opened(inputs, warmth.outputs, time.monotonic() - started, warmth.unsure or "")


def _verify(opening: Open) -> None:
    """The files are checked here, where they are about to be unpickled, however they came to this machine."""
    version = ModelVersion(
        model=opening.model,
        version=opening.version,
        run_id="",
        stored=StoredModel("", opening.folder),
        created=0,
        tags={"ifp.files_digest": opening.files_digest},
    )
    require_whole(version, Path(opening.folder))


def _unwrapped(model: object) -> object:
    """The model beneath MLflow's pyfunc, whose own check of each frame costs more than most models do.

    The frames are made to the signature already.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import PyFuncModel

    if not isinstance(model, PyFuncModel):
        raise ModelError(f"MLflow opened a {type(model).__name__}, expected a pyfunc")
    try:
        raw: object = model.get_raw_model()  # type: ignore[no-untyped-call]
    except (NotImplementedError, MlflowException):
        return model
    return raw if hasattr(raw, "predict") else model

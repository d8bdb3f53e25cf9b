"""What MLflow and the network raise, as our errors; nothing of it shows a password."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from airflow_provider_ifp.core.errors import RegistryError, RegistryUnreachableError, VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

_REACH_SECONDS = 10
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


def without_user(text: str) -> str:
    """Drop the `user:password@` of every address in a text.

    >>> without_user("no answer from https://me:secret@mlflow.example/api")
    'no answer from https://mlflow.example/api'
    """
    return _USER_INFO.sub("", text)


def code_name(code: int) -> str:
    """The name by which MLflow's exceptions know a code of its protocol."""
    return str(ErrorCode.Name(code))


def require_answer(address: str, shown: str) -> None:
    """Ask the server once, briefly: MLflow's own client would repeat a refused connection for minutes.

    Args:
        address: The tracking URI; what is no HTTP server is not asked.
        shown: The same without credentials, for messages.

    Raises:
        RegistryUnreachableError: it does not answer, or refuses the credentials.
    """
    if urlsplit(address).scheme not in {"http", "https"}:
        return
    try:
        # With the client's own credentials, token and certificates: a proxy may ask for them here too.
        answer = http_request(
            get_default_host_creds(address),
            "/health",
            "GET",
            max_retries=0,
            timeout=_REACH_SECONDS,
            raise_on_status=False,
        )
    except MlflowException as error:
        raise RegistryUnreachableError(
            f"MLflow at {shown} does not answer ({type(error.__context__).__name__}); start it, or mend the "
            "connection 'ifp_default' or MLFLOW_TRACKING_URI"
        ) from error
    if answer.status_code in {401, 403}:
        raise RegistryUnreachableError(
            f"MLflow at {shown} refuses these credentials (HTTP {answer.status_code}); set login and "
            "password of the Airflow connection, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn MLflow's and requests' exceptions into ours, in this one place."""
    try:
        yield
    except MlflowException as error:
        told = f"MLflow at {uri}: {without_user(str(error))}"
        if error.error_code == code_name(RESOURCE_DOES_NOT_EXIST):
            raise VersionNotFoundError(told) from error
        if isinstance(error.__cause__, requests.RequestException) or "Max retries exceeded" in told:
            raise RegistryUnreachableError(told) from error
        if "unsupported URI" in told:
            told += " A database needs the full MLflow: pip install 'airflow-provider-ifp[mlflow]'"
        raise RegistryError(told) from error
    except (requests.RequestException, ConnectionError) as error:
        raise RegistryUnreachableError(f"MLflow at {uri} stopped answering: {error}") from error

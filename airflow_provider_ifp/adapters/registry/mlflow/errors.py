"""What MLflow, the network and the stores of files raise, as our errors; nothing of it shows a password."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    UNAUTHENTICATED,
    ErrorCode,
)
from mlflow.utils.credentials import get_default_host_creds, read_mlflow_creds
from mlflow.utils.rest_utils import http_request

from airflow_provider_ifp.core.errors import (
    IfpError,
    RegistryDeniedError,
    RegistryError,
    RegistryUnreachableError,
    VersionNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_REACH_SECONDS = 10
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_DENIED = re.compile(r"\b(401|403) Client Error")
_API = re.compile(r"/api/[\w./-]*\w")
_READING = re.compile(r"/(get|search|list)[^/]*$|/logged-models/[^/]+$")
_STORES = ("azure", "boto3", "botocore", "google")
"""Libraries of stores that MLflow gives files to directly; their exceptions share no base with it."""


def without_user(text: str) -> str:
    """Drop the `user:password@` of every address in a text.

    >>> without_user("no answer from https://me:secret@mlflow.example/api")
    'no answer from https://mlflow.example/api'
    """
    return _USER_INFO.sub("", text)


def code_name(code: int) -> str:
    """The name by which MLflow's exceptions know a code of its protocol."""
    return str(ErrorCode.Name(code))


def user_of(address: str) -> str | None:
    """Who asks: the address's user, else the one whom MLflow finds in the environment or in its own file."""
    return unquote(urlsplit(address).username or "") or read_mlflow_creds().username


def require_answer(address: str, shown: str) -> None:
    """Ask the server once, briefly: MLflow's own client would repeat a refused connection for minutes.

    Args:
        address: The tracking URI; what is no HTTP server is not asked.
        shown: The same without credentials, for messages.

    Raises:
        RegistryUnreachableError: it does not answer.
        RegistryDeniedError: it refuses the credentials.
    """
    if urlsplit(address).scheme not in {"http", "https"}:
        return
    try:
        # With the client's own credentials, token and certificates: a proxy may ask for them here too.
        # Not `/health`, which a server with basic auth tells everybody.
        answer = http_request(
            get_default_host_creds(address),
            "/version",
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
        raise _denied(shown, user_of(address), answer.status_code, "/version")


@contextmanager
def translated(uri: str, user: str | None = None) -> Iterator[None]:
    """Turn what the outside raises into our errors, in this one place.

    Args:
        uri: MLflow's address without credentials.
        user: Who asks, for the message that refuses it.
    """
    try:
        yield
    except IfpError:
        raise
    except Exception as error:
        ours = _ours(uri, user, error)
        if ours is None:
            raise
        raise ours from error


def _ours(uri: str, user: str | None, error: Exception) -> RegistryError | None:
    """What the error is among ours; None: a mistake of our own, which is not to be hidden."""
    told = without_user(str(error))
    if isinstance(error, MlflowException):
        return _of_mlflow(uri, user, error, told)
    if isinstance(error, (requests.RequestException, ConnectionError)):
        if status := _denial(error):
            return _denied(uri, user, status, told)
        return RegistryUnreachableError(f"MLflow at {uri} stopped answering: {told}")
    if isinstance(error, ModuleNotFoundError):
        return RegistryError(
            f"MLflow at {uri} keeps its files where {error.name!r} is needed, and it is not installed; for "
            "S3: pip install 'airflow-provider-ifp[amazon]'"
        )
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _STORES:
        kind = type(error).__name__
        return RegistryError(f"the store of files behind MLflow at {uri} failed ({kind}): {told}")
    return None


def _of_mlflow(uri: str, user: str | None, error: MlflowException, told: str) -> RegistryError:
    message = f"MLflow at {uri}: {told}"
    if error.error_code == code_name(RESOURCE_DOES_NOT_EXIST):
        return VersionNotFoundError(message)
    if status := _denial(error):
        return _denied(uri, user, status, told)
    if isinstance(error.__cause__, requests.RequestException) or "Max retries exceeded" in told:
        return RegistryUnreachableError(message)
    if "unsupported URI" in told:
        message += " A database needs the full MLflow: pip install 'airflow-provider-ifp[mlflow]'"
    return RegistryError(message)


def _denial(error: Exception) -> int | None:
    """401 or 403 if the server refused the user; a failed download has it in its text alone."""
    code = getattr(error, "error_code", None)
    if code == code_name(UNAUTHENTICATED):
        return 401
    if code == code_name(PERMISSION_DENIED):
        return 403
    found = _DENIED.search(str(error))
    return int(found[1]) if found else None


def _denied(uri: str, user: str | None, status: int, told: str) -> RegistryDeniedError:
    if status == 401:  # noqa: PLR2004 - HTTP's number for it
        whom = (
            f"refuses the credentials of user {user!r}"
            if user
            else "asks for credentials, and there are none"
        )
        return RegistryDeniedError(
            f"MLflow at {uri} {whom} (HTTP 401); set login and password of the Airflow connection "
            "'ifp_default', or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    found = _API.search(told)
    path = found[0] if found else "/"
    what = "artifacts" if "mlflow-artifacts" in path else path.partition("/mlflow/")[2].partition("/")[0]
    verb = "read" if _READING.search(path) else "write"
    whom = f"user {user!r}" if user else "a user without a login"
    return RegistryDeniedError(
        f"MLflow at {uri}: {whom} may not {verb} {what or 'there'} (HTTP 403, {path}); let its administrator "
        "grant the permission on this model's experiment and registered model, or use another login"
    )

"""Each registry's own credentials, in a process that may talk to several MLflow servers as several users.

MLflow's client reads credentials from the environment alone: the registries of one process (a triggerer's)
would overwrite each other's, and every child would inherit them. So a password stays in this module. The
address that MLflow gets has a handle in the password's place; MLflow takes it along to whatever it asks of
that server, its artifact proxy included, from any thread; and before a request leaves, the handle becomes the
password. MLflow's plugin for that is named by `MLFLOW_TRACKING_AUTH`, which holds no secret.

A plugin that the user named there, or AWS signatures, decide instead of us.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from mlflow.environment_variables import MLFLOW_TRACKING_AUTH, MLFLOW_TRACKING_AWS_SIGV4
from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url, get_netrc_auth

if TYPE_CHECKING:
    from requests import PreparedRequest

log = logging.getLogger(__name__)

_NAME = "ifp"
_SALT = secrets.token_bytes(16)
_passwords: dict[str, str] = {}


def held_address(address: str, username: str | None, password: str | None) -> str:
    """The address with a handle in the password's place; as it is where there is no user, or no server.

    Args:
        address: A tracking URI; `http://user:password@host` works too.
        username: Stands above the address's own.
        password: Of that user.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        return address
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    if not username:
        username, placed = unquote(parts.username or ""), unquote(parts.password or "")
        password = _passwords.get(placed, placed)  # an address that went through here before stays as it is
    if not username:
        return bare.geturl()
    named = MLFLOW_TRACKING_AUTH.get()
    if MLFLOW_TRACKING_AWS_SIGV4.get() or named not in {None, "", _NAME}:
        log.warning(
            "MLFLOW_TRACKING_%s is set and signs the requests to %s; user %r and its password are not used",
            "AUTH" if named else "AWS_SIGV4", bare.geturl(), username,
        )  # fmt: skip
        return bare.geturl()
    os.environ[MLFLOW_TRACKING_AUTH.name] = _NAME
    # At the end of a run MLflow prints its page's address, which would show the handle.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    handle = _handle(username, password or "")
    _passwords[handle] = password or ""
    return bare._replace(netloc=f"{quote(username, safe='')}:{handle}@{bare.netloc}").geturl()


def _handle(username: str, password: str) -> str:
    """The same for the same credentials, so that MLflow's caches serve them; tells nothing about them."""
    text = f"{len(username)}:{username}{password}"
    return f"ifp-{hmac.new(_SALT, text.encode(), hashlib.sha256).hexdigest()[:16]}"


class HeldAuth(RequestAuthProvider):
    """What MLflow finds by the name `ifp` among its plugins."""

    def get_name(self) -> str:
        """The value of `MLFLOW_TRACKING_AUTH` that chooses it."""
        return _NAME

    def get_auth(self) -> AuthBase:
        """What signs a request."""
        return _Signing()


class _Signing(AuthBase):
    """Basic auth for addresses that hold a handle; all others as requests itself would sign them."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        user, placed = get_auth_from_url(request.url or "")
        found: tuple[str, str] | None = (user, _passwords.get(placed, placed)) if user else None
        if placed in _passwords:
            # MLflow's session is shared, and may have another user's.
            request.headers.pop("Cookie", None)
        else:
            found = get_netrc_auth(request.url or "") or found
        if found is not None:
            HTTPBasicAuth(found[0].encode(), found[1].encode())(request)  # bytes: it takes text for Latin-1
        return request

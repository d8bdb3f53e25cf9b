"""JSON as clients write it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from airflow_provider_ifp.core.errors import RequestError


def decode_json(body: bytes) -> Any:
    """Read a body; also one with `NaN` and `Infinity`, which are no JSON, but what Python's encoder writes.

    Raises:
        RequestError: it is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise RequestError(f"the body is no JSON: {error}") from None

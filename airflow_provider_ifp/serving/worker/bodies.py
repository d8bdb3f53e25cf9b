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
    except RecursionError:
        raise RequestError("the body is nested too deep to be read") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise RequestError(f"the body is no JSON: {error}") from None


def encode_json(value: Any) -> bytes:
    """Write a body; NaN and infinity as null, and what stands in a column of objects as what it holds."""
    return _ENCODER.encode(value)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)

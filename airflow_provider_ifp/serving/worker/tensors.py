"""Tensors of the open inference protocol: a column of shape [rows], in JSON or as bytes."""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DTYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_ALLOWED: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}
_SIZE = struct.Struct("<I")
_MATRIX = 2


def read_tensor(tensor: Any, rest: bytes) -> tuple[str, Any, bytes]:
    """One input's name, its values with rows first, and what is left of the binary part.

    Raises:
        RequestError: it is no tensor of the protocol; the message names it.
    """
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestError("an input has no name")
    name, datatype, shape = tensor["name"], tensor.get("datatype"), tensor.get("shape")
    if datatype != "BYTES" and datatype not in _DTYPES:
        known = ", ".join((*_DTYPES, "BYTES"))
        raise RequestError(f"input {name!r}: datatype {datatype!r}; expected one of {known}")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n >= 0 for n in shape):
        raise RequestError(f"input {name!r}: shape {shape!r}; expected a list of whole numbers")
    count = int(np.prod(shape, dtype=object))
    parameters = tensor.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _from_json(name, datatype, tensor.get("data"))
    elif type(size) is not int or not 0 <= size <= len(rest):
        raise RequestError(f"input {name!r}: binary_data_size is {size!r}, and {len(rest)} bytes are there")
    else:
        values, rest = _from_bytes(name, datatype, rest[:size]), rest[size:]
    if len(values) != count:
        raise RequestError(f"input {name!r}: {len(values)} values for shape {shape}")
    return name, _shaped(name, values, shape), rest


def _from_json(name: str, datatype: str, data: Any) -> Any:
    if not isinstance(data, list):
        raise RequestError(f"input {name!r} has neither 'data', a list, nor 'binary_data_size'")
    while data and isinstance(data[0], list):  # nested by row, which the protocol allows
        if not all(isinstance(row, list) for row in data):
            raise RequestError(f"input {name!r}: its 'data' is nested unevenly")
        data = list(chain.from_iterable(data))
    return data if datatype == "BYTES" or None in data else _vector(name, datatype, data)


def _vector(name: str, datatype: str, data: list[Any]) -> np.ndarray:
    dtype = _DTYPES[datatype]
    allowed = _ALLOWED[dtype.kind]
    if not set(map(type, data)) <= allowed:
        wrong = next(value for value in data if type(value) not in allowed)
        raise RequestError(f"input {name!r}: {wrong!r} is no {datatype}")
    try:
        return np.array(data, dtype=dtype)
    except (OverflowError, ValueError) as error:
        raise RequestError(f"input {name!r}: {error}") from None


def _from_bytes(name: str, datatype: str, content: bytes) -> Any:
    if datatype == "BYTES":
        return _texts(name, content)
    dtype = _DTYPES[datatype]
    if len(content) % dtype.itemsize:
        raise RequestError(f"input {name!r}: {len(content)} bytes are no {datatype}")
    return np.frombuffer(content, dtype=dtype)


def _texts(name: str, content: bytes) -> list[str]:
    """Each text after its length, four bytes, little-endian."""
    values, start = [], 0
    while start < len(content):
        end = start + _SIZE.size
        if end > len(content) or end + _SIZE.unpack_from(content, start)[0] > len(content):
            raise RequestError(f"input {name!r}: its bytes end in the middle of a text")
        start, end = end, end + _SIZE.unpack_from(content, start)[0]
        try:
            values.append(content[start:end].decode())
        except UnicodeDecodeError:
            raise RequestError(f"input {name!r}: text {len(values)} is no UTF-8") from None
        start = end
    return values


def _shaped(name: str, values: Any, shape: list[int]) -> Any:
    """The values with rows first: [n] and [n, 1] as a vector, [n, k] as rows."""
    if len(shape) == 1 or (len(shape) == _MATRIX and shape[1] == 1):
        return values
    if len(shape) == _MATRIX:
        return np.asarray(values, dtype=None if isinstance(values, np.ndarray) else object).reshape(shape)
    raise RequestError(f"input {name!r}: shape {shape}; expected [rows] or [rows, columns]")


def write_tensor(name: str, values: Sequence[Any], *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """One output as the protocol describes it, and its bytes where it is asked for as such."""
    datatype = datatype_of(values)
    nested = bool(values) and isinstance(values[0], list)
    shape = [len(values), len(values[0])] if nested else [len(values)]
    flat = list(chain.from_iterable(values)) if nested else list(values)
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if not binary:
        return {**tensor, "data": flat}, b""
    if datatype == "BYTES":
        texts = [str("" if value is None else value).encode() for value in flat]
        content = b"".join(_SIZE.pack(len(text)) + text for text in texts)
    else:
        content = np.array(flat, dtype=_DTYPES[datatype]).tobytes()
    return {**tensor, "parameters": {"binary_data_size": len(content)}}, content


def datatype_of(values: Sequence[Any]) -> str:
    """The protocol's type of a column of answers: `BYTES` (text), `BOOL`, `INT64` or `FP64`."""
    flat = list(chain.from_iterable(values)) if values and isinstance(values[0], list) else values
    types = {type(value) for value in flat}
    if str in types:
        return "BYTES"
    return "BOOL" if types == {bool} else "INT64" if types == {int} else "FP64"

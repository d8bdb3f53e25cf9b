"""The open inference protocol, version 2: each column is a tensor of shape [rows], in JSON or as bytes.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md), and its
extension for binary tensors, as Triton's client speaks it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import RequestError
from airflow_provider_ifp.serving.worker.bodies import decode_json, encode_json
from airflow_provider_ifp.serving.worker.frames import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.serving.worker.frames import Answers

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a request wants its answer.

    Attributes:
        id: The request's, sent back.
        outputs: Name -> whether as bytes; None: all that there is.
        binary: Whether as bytes, where an output does not say.
    """

    id: str | None
    outputs: Mapping[str, bool] | None
    binary: bool


def read_request(body: bytes, header_length: int, names: Sequence[str]) -> Asked:
    """Read a request's body.

    Args:
        body: JSON, and after it the binary tensors in the order of the inputs.
        header_length: Bytes of JSON; -1: all.
        names: The model's columns: one tensor of shape [rows, columns] is taken for all of them.

    Raises:
        RequestError: it is no such request; the message names the tensor.
    """
    if header_length > len(body):
        raise RequestError(
            f"Inference-Header-Content-Length is {header_length}, and the body has {len(body)} bytes"
        )
    header, rest = (body, b"") if header_length < 0 else (body[:header_length], body[header_length:])
    content = decode_json(header)
    if not isinstance(content, dict) or not isinstance(content.get("inputs"), list):
        raise RequestError("the body has no list 'inputs'")
    columns: dict[str, Any] = {}
    rows = None
    for tensor in content["inputs"]:
        name, values, rest = _read_tensor(tensor, rest)
        found = _columns_of(name, values, names)
        count = len(values)
        if rows not in (None, count):
            raise RequestError(f"input {name!r} has {count} rows, and one before it {rows}")
        if twice := columns.keys() & found.keys():
            raise RequestError(f"input {min(twice)!r} is there twice")
        rows = count
        columns |= found
    if rest:
        raise RequestError(f"{len(rest)} bytes are left after the last binary tensor")
    return Asked(columns, rows or 0, _read_wanted(content))


def write_reply(answers: Answers, model: str, version: str, wanted: Wanted) -> tuple[bytes, int]:
    """The reply's body, and how long its JSON is where binary tensors follow it (else -1).

    Raises:
        RequestError: an output is asked for that the model does not have.
    """
    outputs = wanted.outputs if wanted.outputs is not None else dict.fromkeys(answers.columns, wanted.binary)
    described, tail = [], b""
    for name, binary in outputs.items():
        if name not in answers.columns:
            there = ", ".join(map(repr, answers.columns))
            raise RequestError(f"output {name!r}: the model answers {there}")
        tensor, content = _write_tensor(name, answers.columns[name], binary=binary)
        described.append(tensor)
        tail += content
    reply = {"model_name": model, "model_version": version, "outputs": described}
    if wanted.id is not None:
        reply["id"] = wanted.id
    header = encode_json(reply)
    binary_there = any("parameters" in tensor for tensor in described)
    return header + tail, len(header) if binary_there else -1


def write_error(message: str) -> bytes:
    """As the protocol tells errors."""
    return encode_json({"error": message})


def datatype_of(values: Sequence[Any]) -> str:
    """The protocol's type of a column of answers: `BYTES` (text), `BOOL`, `INT64` or `FP64`."""
    flat = list(chain.from_iterable(values)) if values and isinstance(values[0], list) else values
    types = {type(value) for value in flat}
    if str in types:
        return "BYTES"
    return "BOOL" if types == {bool} else "INT64" if types == {int} else "FP64"


def _read_tensor(tensor: Any, rest: bytes) -> tuple[str, Any, bytes]:
    """One input's name, its values with rows first, and what is left of the binary part."""
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


def _columns_of(name: str, values: Any, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(values, np.ndarray) or values.ndim == 1:
        return {name: values}
    if name in names:
        return {name: values.tolist()}  # a column of lists
    if values.shape[1] != len(names):
        raise RequestError(
            f"input {name!r} is no column of the model, and has {values.shape[1]} columns: the model has "
            f"{len(names)}"
        )
    columns = (values[:, place] for place in range(len(names)))
    if values.dtype == object:
        return {column: part.tolist() for column, part in zip(names, columns, strict=True)}
    return {column: np.ascontiguousarray(part) for column, part in zip(names, columns, strict=True)}


def _read_wanted(content: dict[str, Any]) -> Wanted:
    parameters = content.get("parameters") or {}
    binary = bool(parameters.get("binary_data_output")) if isinstance(parameters, dict) else False
    identity = content.get("id")
    if not isinstance(identity, str | None):
        raise RequestError(f"'id' is {identity!r}: expected text")
    outputs = content.get("outputs")
    if not outputs:
        return Wanted(identity, None, binary)
    named = {}
    for output in outputs if isinstance(outputs, list) else [outputs]:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise RequestError("an entry of 'outputs' has no name")
        own = output.get("parameters") or {}
        named[output["name"]] = bool(own.get("binary_data", binary)) if isinstance(own, dict) else binary
    return Wanted(identity, named, binary)


def _write_tensor(name: str, values: Sequence[Any], *, binary: bool) -> tuple[dict[str, Any], bytes]:
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

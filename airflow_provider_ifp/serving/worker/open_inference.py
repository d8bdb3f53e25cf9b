"""The open inference protocol, version 2: requests and replies, each column a tensor (`tensors`).

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md), and its
extension for binary tensors, as Triton's client speaks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import RequestError
from airflow_provider_ifp.serving.worker.bodies import decode_json, encode_json
from airflow_provider_ifp.serving.worker.frames import Asked
from airflow_provider_ifp.serving.worker.tensors import read_tensor, write_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.serving.worker.frames import Answers


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
        name, values, rest = read_tensor(tensor, rest)
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
        tensor, content = write_tensor(name, answers.columns[name], binary=binary)
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

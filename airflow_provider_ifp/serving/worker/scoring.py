"""MLflow's scoring protocol: what `/invocations` takes, and what it answers.

`dataframe_split`, `dataframe_records`, `instances` and `inputs`, each as MLflow's own server reads them for
a model with named columns. Source: https://mlflow.org/docs/latest/genai/serving/custom-apps and
`mlflow.pyfunc.scoring_server`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import RequestError
from airflow_provider_ifp.serving.worker.bodies import decode_json, encode_json
from airflow_provider_ifp.serving.worker.frames import Asked

if TYPE_CHECKING:
    from airflow_provider_ifp.serving.worker.frames import Answers

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_request(body: bytes, names: Sequence[str]) -> Asked:
    """Read a request's body.

    Args:
        body: JSON. `NaN` is read, too: Python's own encoder writes it.
        names: The model's columns, for rows without names; empty: the model has none of its own.

    Raises:
        RequestError: it is no such JSON; the message says where.
    """
    content = decode_json(body)
    if not isinstance(content, dict):
        raise RequestError(f"the body is a JSON {_kind(content)}: expected an object with {_listed()}")
    formats = [name for name in FORMATS if name in content]
    if len(formats) != 1:
        found = " and ".join(formats) if formats else ", ".join(map(repr, content)) or "no key"
        raise RequestError(f"the body has {found}: expected exactly one of {_listed()}")
    if content.get("params"):
        raise RequestError("'params': this server's models take none")
    return Asked(*_READERS[formats[0]](content[formats[0]], names))


def write_reply(answers: Answers) -> bytes:
    """As MLflow's server answers a frame: `{"predictions": [{"prediction": 1.5, "score": 0.9}, ...]}`."""
    names, values = list(answers.columns), answers.columns.values()
    records = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return encode_json({"predictions": records})


def write_error(code: str, message: str) -> bytes:
    """As MLflow's server tells errors."""
    return encode_json({"error_code": code, "message": message})


def _read_split(content: Any, names: Sequence[str]) -> tuple[dict[str, Sequence[Any]], int]:
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise RequestError("'dataframe_split': expected an object with 'columns' and 'data', a list of rows")
    given = content.get("columns", names)
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise RequestError("'dataframe_split': expected 'columns' to be a list of names")
    return _read_rows(content["data"], given, "dataframe_split.data")


def _read_records(content: Any, names: Sequence[str], where: str = "dataframe_records") -> Any:
    if not isinstance(content, list):
        raise RequestError(f"'{where}': expected a list of objects, one a row, found {_kind(content)}")
    known: dict[str, None] = dict.fromkeys(names)
    for place, record in enumerate(content):
        if not isinstance(record, dict):
            raise RequestError(f"'{where}', row {place}: expected an object, found {_kind(record)}")
        if not names:
            known |= dict.fromkeys(record)
    columns = {}
    for name in known:
        held = [name in record for record in content]
        if any(held):
            columns[name] = [record.get(name) for record in content]
    return columns, len(content)


def _read_instances(content: Any, names: Sequence[str], where: str = "instances") -> Any:
    if not isinstance(content, list):
        raise RequestError(f"'{where}': expected a list of rows, found {_kind(content)}")
    if content and isinstance(content[0], dict):
        return _read_records(content, names, where)
    if content and not isinstance(content[0], list) and len(names) == 1:
        return {names[0]: content}, len(content)
    return _read_rows(content, names, where)


def _read_inputs(content: Any, names: Sequence[str]) -> Any:
    if not isinstance(content, dict):
        return _read_instances(content, names, "inputs")
    columns = {name: value if isinstance(value, list) else [value] for name, value in content.items()}
    rows = len(next(iter(columns.values()), ()))
    for name, values in columns.items():
        if len(values) != rows:
            raise RequestError(f"'inputs': {name!r} has {len(values)} values and another column {rows}")
    return columns, rows


_READERS = {
    "dataframe_split": _read_split,
    "dataframe_records": _read_records,
    "instances": _read_instances,
    "inputs": _read_inputs,
}


def _read_rows(data: list[Any], names: Sequence[str], where: str) -> tuple[dict[str, Sequence[Any]], int]:
    """Rows without names of their own, as columns."""
    if len(set(names)) != len(names):
        raise RequestError(f"'{where}': a column is named twice in {list(names)}")
    if data and not names:
        raise RequestError(f"'{where}': this model's columns have no order of their own; send their names")
    for place, row in enumerate(data):
        if not isinstance(row, list):
            raise RequestError(f"'{where}', row {place}: expected a list of values, found {_kind(row)}")
        if len(row) != len(names):
            raise RequestError(f"'{where}', row {place}: {len(row)} values for {len(names)} columns")
    columns = zip(*data, strict=True) if data else [[] for _ in names]
    return dict(zip(names, columns, strict=True)), len(data)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list):
        return "list"
    return {str: "text", bool: "boolean", type(None): "null"}.get(type(value), "number")


def _listed() -> str:
    return ", ".join(map(repr, FORMATS))

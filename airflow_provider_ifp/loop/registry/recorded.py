"""What a version says it was made of, read again: its provenance, verified, and its rows as they were.

What is gone, or is not what it was, is a `ReproductionError` that names it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.registry.protocol import UNRECORDED
from airflow_provider_ifp.adapters.sources import reopen_source
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DatasetError, DigestMismatchError, IfpError, ReproductionError
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.training.registration import PROVENANCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect


def read_provenance(registry: Registry, version: ModelVersion) -> dict[str, Any]:
    """What made the version, verified against the digest among its tags.

    Raises:
        DigestMismatchError: the record is not the one that was registered.
        ReproductionError: there is none, or it does not say enough to train again.
    """
    expected = version.tags.get("ifp.provenance_digest", UNRECORDED)
    if expected == UNRECORDED:
        raise ReproductionError("it was not registered by this provider: what made it is not on record")
    if not version.run_id or registry.run(version.run_id) is None:
        raise ReproductionError(f"its training run {version.run_id} is gone, and what made it with it")
    content = registry.get_file(version.run_id, PROVENANCE)
    if content is None:
        raise ReproductionError(f"{PROVENANCE} is gone from its training run {version.run_id}")
    try:
        facts: dict[str, Any] = json.loads(content)
        found = digest_json(facts)
    except (ValueError, IfpError) as error:
        facts, found = {}, f"no provenance at all: {error}"
    if found != expected:
        raise DigestMismatchError(
            f"{version.model} version {version.version}: {PROVENANCE} of run {version.run_id} is not what "
            f"was registered (expected {expected}, found {found}); look who may write to the run's artifacts"
        )
    return facts


def require_enough(facts: Mapping[str, Any]) -> None:
    """Refuse a record that nobody could train from.

    Raises:
        ReproductionError: the message says what is not on record.
    """
    code, data, order = facts.get("code") or {}, facts.get("data") or [], facts.get("train")
    if not code.get("entrypoint"):
        raise ReproductionError(
            "no entrypoint is on record: ifp.track recorded a training that nobody launched; train with "
            "TrainOperator"
        )
    if not data or not data[0].get("content_digest"):
        raise ReproductionError("the rows that it was trained on are not on record")
    if order is None or "window" not in data[0] or not isinstance(data[0]["window"], dict):
        raise ReproductionError("it was registered by an earlier release, which recorded too little for this")
    if order.get("launcher") != "local":
        raise ReproductionError(
            f"it was trained by the launcher {order.get('launcher')}; only local is built"
        )


def find_rows(data: Mapping[str, Any], connect: Connect | None = None) -> pa.Table:
    """The training rows, read again.

    Args:
        data: One entry of the provenance's `data`.
        connect: As for `read_rows`.

    Raises:
        ReproductionError: they are gone, or others than then.
    """
    try:
        table = read_rows(data, to_window(data["window"]), connect)
    except DatasetError as error:
        raise ReproductionError(f"the data is gone: {error}") from error
    digest = fingerprint_table(table).digest
    if digest != data["content_digest"]:
        raise ReproductionError(
            f"the data was overwritten: {data['rows']:,} rows -> {table.num_rows:,} rows, digest "
            f"{data['content_digest']} -> {digest}, in {data['source_id']}"
        )
    return table


def read_rows(data: Mapping[str, Any], window: Window, connect: Connect | None = None) -> pa.Table:
    """The labelled rows of a window, from the source that is on record.

    Args:
        data: The data's entry in the provenance.
        window: The window.
        connect: Gives the engine of a source by conn_id; None: by the environment.

    Raises:
        DatasetError: no such data, a column is missing, or no row has a label.
    """
    dataset = reopen_source(data, connect)
    table = dataset.read(window, data["time_column"], list(data["columns"]))
    labelled = table.filter(pc.is_valid(table[data["label"]]))
    if labelled.num_rows == 0:
        raise DatasetError(f"{dataset.name}: none of the {table.num_rows:,} rows in {window} has a label")
    return labelled


def to_window(facts: Mapping[str, str | None]) -> Window:
    """A window from its recorded bounds."""
    start, end = facts["start"], str(facts["end"])
    return Window(datetime.fromisoformat(start) if start else None, datetime.fromisoformat(end))


def changed_types(data: Mapping[str, Any], table: pa.Table) -> list[str]:
    """Columns that hold equal values in another type: a trainer may compute with them otherwise.

    >>> import pyarrow as pa
    >>> changed_types({"schema": {"n": "int32"}}, pa.table({"n": pa.array([1], pa.int64())}))
    ['column n int32 -> int64']
    """
    now = {name: str(table.schema.field(name).type) for name in table.schema.names}
    then = data.get("schema") or {}
    return [f"column {name} {then[name]} -> {now[name]}" for name in then if then[name] != now.get(name)]

"""An MLflow registry with thousands of versions and ledger events, filled in seconds.

Two versions and two events are made by real calls. The others are rows that those calls wrote, written again
under other names: `fill` first carries the first version's rows over to the second's names and compares them
with the second's own, column by column, so the filled rows are what real calls would have written.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from airflow_provider_ifp.adapters.data.fingerprint import folder_manifest
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.core.digest import canonical_json, digest_manifest
from airflow_provider_ifp.core.registry.chain import event_key, event_text
from airflow_provider_ifp.core.registry.lifecycle import Event, Ledger
from airflow_provider_ifp.core.registry.moves import Attempt, chain
from airflow_provider_ifp.loop.registry.move import promote
from airflow_provider_ifp.training.registration import (
    FILES,
    PROVENANCE,
    Registration,
    content_digest,
    register,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry

# Where MLflow keeps what belongs to one version, in an order that its foreign keys allow.
_TABLES = {
    "runs": "run_uuid = :run",
    "params": "run_uuid = :run",
    "tags": "run_uuid = :run",
    "logged_models": "model_id = :stored",
    "logged_model_tags": "model_id = :stored",
    "model_versions": "name = :model AND version = :version",
    "model_version_tags": "name = :model AND version = :version",
}
_TIMES = {
    "start_time", "end_time", "creation_time", "last_updated_time", "creation_timestamp_ms",
    "last_updated_timestamp_ms",
}  # fmt: skip
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Names:
    """All by which one version's rows differ from another's."""

    run: str
    stored: str
    nonce: str
    content: str
    files: str
    listed: str
    version: int


def add_version(registry: Registry, model: str, folder: Path) -> ModelVersion:
    """Register a small folder of new content by real calls, as a training does."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights.bin").write_bytes(uuid.uuid4().bytes * 64)
    run_id = registry.start_run(model, name="a training", tags={"ifp.model": model})
    registry.log_params(run_id, {"learning_rate": "0.001", "epochs": "5"})
    made = register(
        registry,
        Registration(
            model=model,
            run_id=run_id,
            folder=folder,
            provenance={"code": {"commit": "c0ffee"}},
            nonce=uuid.uuid4().hex,
        ),
    )
    registry.finish_run(run_id, "FINISHED")
    return made


def attempt(reason: str) -> Attempt:
    """A person's attempt, now, under a name that no other has."""
    time = datetime.now(UTC).isoformat()
    return Attempt(actor="anna", time=time, nonce=uuid.uuid4().hex, by="person", reason=reason)


def begin(registry: Registry, model: str, scratch: Path) -> None:
    """Two versions and two events, by real calls."""
    for _ in range(2):
        made = add_version(registry, model, scratch / uuid.uuid4().hex)
        promote(registry, model, made.version, "production", attempt=attempt("the first ones"))


def fill(
    registry: Registry, model: str, *, database: str, artifacts: Path, versions: int, events: int
) -> None:
    """Bring a registry that `begin` began to so many versions and events; the files of each are there too.

    Args:
        registry: On the server that uses the database.
        model: The registered model.
        database: Its SQLAlchemy URL.
        artifacts: The folder in which the server keeps files.
        versions: How many there are to be.
        events: How many events the ledger is to have.

    Raises:
        KeyError: Fewer versions than the events promote, which is every second one.
        ValueError: The rows of two versions that real calls made differ in more than their names.
    """
    first, second = (_names_of(registry.version(model, number)) for number in "12")
    # Before the first write: SQLite lets nobody read once its cache of unwritten pages is full.
    ledger = read_ledger(registry, model)
    with create_engine(database).begin() as connection:
        rows = {table: _rows(connection, table, model, first) for table in _TABLES}
        real = {table: _rows(connection, table, model, second) for table in _TABLES}
        _require_alike(rows, real, first, second)
        names = [_copied_files(artifacts, first, number) for number in range(3, versions + 1)]
        for table, ours in rows.items():
            _insert(connection, table, (_renamed(row, first, other) for other in names for row in ours))
        added = _more_events(ledger, events, {str(other.version): other.files for other in names})
        run = connection.execute(
            text("SELECT run_uuid FROM params WHERE key = :key AND value = :value"),
            {"key": event_key(1), "value": event_text(ledger.events[0])},
        ).scalar_one()
        params = (
            {"key": event_key(event.number), "value": event_text(event), "run_uuid": run} for event in added
        )
        _insert(connection, "params", params)
        connection.execute(
            text("UPDATE registered_model_aliases SET version = :version WHERE name = :model"),
            {"version": int(added[-1].version), "model": model},
        )


def _names_of(version: ModelVersion) -> Names:
    return Names(
        version.run_id, version.stored.id, version.tags["ifp.nonce"], version.content_digest,
        version.files_digest, f'"version": {version.version}}}', int(version.version),
    )  # fmt: skip


def _rows(connection: Connection, table: str, model: str, names: Names) -> list[dict[str, Any]]:
    given = {"run": names.run, "stored": names.stored, "model": model, "version": names.version}
    found = connection.execute(text(f"SELECT * FROM {table} WHERE {_TABLES[table]}"), given)  # noqa: S608 - our own names of tables
    return [dict(row) for row in found.mappings()]


def _renamed(row: Mapping[str, Any], one: Names, other: Names) -> dict[str, Any]:
    """The row as it would be of the other version."""
    renamed = dict(row)
    for column, value in row.items():
        if column == "version":
            renamed[column] = other.version
        elif isinstance(value, str):
            for old, new in zip(astuple(one)[:-1], astuple(other)[:-1], strict=True):
                value = value.replace(old, new)  # noqa: PLW2901 - several names may stand in one value
            renamed[column] = value
    return renamed


def _require_alike(
    ours: Mapping[str, list[dict[str, Any]]],
    real: Mapping[str, list[dict[str, Any]]],
    first: Names,
    second: Names,
) -> None:
    for table, rows in ours.items():
        expected = [_without_times(_renamed(row, first, second)) for row in rows]
        found = [_without_times(row) for row in real[table]]
        if sorted(expected, key=repr) != sorted(found, key=repr):
            raise ValueError(f"{table}: copied rows are {expected}, those of real calls {found}")


def _without_times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in _TIMES}


def _copied_files(artifacts: Path, first: Names, number: int) -> Names:
    """Put the files of another version, of content of its own, beside the first's; returns its names."""
    run, stored = uuid.uuid4().hex, f"m-{uuid.uuid4().hex}"
    [source] = artifacts.glob(f"*/models/{first.stored}/artifacts")
    folder = source.parent.parent / stored / "artifacts"
    (folder / "data").mkdir(parents=True)
    os.link(source / "MLmodel", folder / "MLmodel")
    (folder / "data" / "weights.bin").write_bytes(uuid.uuid4().bytes * 64)
    [records] = artifacts.glob(f"*/{first.run}/artifacts")
    files = records.parent.parent / run / "artifacts"
    (files / FILES).parent.mkdir(parents=True)
    manifest = folder_manifest(folder)
    (files / FILES).write_bytes(canonical_json(manifest))
    os.link(records / PROVENANCE, files / PROVENANCE)
    return Names(
        run, stored, uuid.uuid4().hex, content_digest(folder), digest_manifest(manifest),
        f'"version": {number}}}', number,
    )  # fmt: skip


def _more_events(ledger: Ledger, total: int, files: Mapping[str, str]) -> list[Event]:
    """A judgement and a promotion of one version after the other, chained to what is there.

    Args:
        ledger: What is there.
        total: How many events there are to be.
        files: Version -> digest of its files, of as many versions as are promoted.
    """
    last, added, production = ledger.events[-1], [], ledger.production
    while last.number < total:
        version = str(3 + len(added) // 2)
        now = datetime.now(UTC).isoformat()
        moved = len(added) % 2
        event = Event(
            number=0,
            time=now,
            actor="airflow:revenue-forecast-training-dag/scheduled__2026-01-01T00:00:00+00:00/promote",
            action="promote" if moved else "judge",
            version=version,
            target="production" if moved else None,
            replaced=production if moved else None,
            reason="rmse 9.1234 <= 12.0; candidate - production 0.0121, interval [0.0093, 0.0149]",
            verdict=None if moved else "pass",
            promotes=None if moved else True,
            verdict_digest=f"sha256:{uuid.uuid4().hex * 2}",
            files_digest=files[version] if moved else None,
            nonce=uuid.uuid4().hex,
        )
        last = chain(Ledger(ledger.model, (last,)), event)
        production = version if moved else production
        added.append(last)
    return added


def _insert(connection: Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    batch: list[Mapping[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            _insert_batch(connection, table, batch)
            batch = []
    if batch:
        _insert_batch(connection, table, batch)


def _insert_batch(connection: Connection, table: str, rows: list[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    marks = ", ".join(f":{column}" for column in columns)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"), rows)  # noqa: S608 - our own names of tables

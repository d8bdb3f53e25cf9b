"""Where the rows of training and gates come from: files or a database, read in one way.

Both give the rows of a half-open window with the time column in UTC, and can say where these came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_ifp.adapters.data.datasets import (
    fragments_within,
    open_dataset,
    partition_fields,
    read_window,
    source_id,
)
from airflow_provider_ifp.adapters.data.storage import resolve_uri
from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.policy.sections import SqlSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.windows import Window

_FILES_NAMED = 100


class Source(Protocol):
    """A dataset, whatever holds it. Errors are `DatasetError`."""

    @property
    def name(self) -> str:
        """How messages name it."""

    def schema(self) -> pa.Schema:
        """Names and types of all columns; no row is read where the types are declared."""

    def partitions(self) -> list[str]:
        """The columns that stand in folder names, which are no features by default."""

    def read(self, window: Window, time_column: str, columns: Sequence[str]) -> pa.Table:
        """At least one row of the window, in no particular order; the time column in UTC."""

    def describe(self, window: Window, time_column: str, columns: Sequence[str]) -> dict[str, Any]:
        """What `read` reads, for provenance: `source_id` for people, and JSON facts by kind of source."""


class FileSource:
    """Parquet or CSV files under a path or URI; see `adapters.data.datasets`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @property
    def name(self) -> str:
        """The URI."""
        return self.uri

    def schema(self) -> pa.Schema:
        """The schema of the first file, with the partition fields."""
        return open_dataset(self.uri).schema

    def partitions(self) -> list[str]:
        """The hive partition fields."""
        return partition_fields(open_dataset(self.uri))

    def read(self, window: Window, time_column: str, columns: Sequence[str]) -> pa.Table:
        """The window's rows."""
        return read_window(self.uri, time_column=time_column, window=window, columns=columns)

    def describe(self, window: Window, time_column: str, columns: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002 - files are named, whichever columns are read
        """The URI, and the files whose statistics reach into the window: how many, and the first of them."""
        dataset = open_dataset(self.uri)
        _, root = resolve_uri(self.uri)
        found = fragments_within(dataset, self.uri, window, time_column)
        files = sorted(fragment.path.removeprefix(root).lstrip("/") for fragment in found)
        return {
            "uri": self.uri,
            "source_id": source_id(self.uri, window, time_column=time_column),
            "files": [name for name in files if name][:_FILES_NAMED],
            "file_count": len(files),
            "partitions": partition_fields(dataset),
        }


def open_source(policy: Policy, connect: Connect | None = None) -> Source:
    """The dataset that a policy's `data.source` names; nothing is read or connected yet.

    Args:
        policy: The model's policy; a query in it is rendered already.
        connect: Gives the engine of a `conn_id`; None: by `AIRFLOW_CONN_<ID>` of the environment.

    Raises:
        PolicyError: the policy has no `data.source`.
        DatasetError: SQLAlchemy is not installed.
    """
    named = policy.data.source
    if named is None:
        raise PolicyError(f"data.source: missing; {policy.model} has no dataset to read")
    if not isinstance(named, SqlSource):
        return FileSource(policy.resolve(named))
    return _database(named.conn_id, connect, table=named.table, query=named.query)


def reopen_source(facts: Mapping[str, Any], connect: Connect | None = None) -> Source:
    """The dataset that `describe` described, for a training that is repeated.

    Args:
        facts: What `describe` gave.
        connect: As for `open_source`.

    Raises:
        DatasetError: the facts name neither files nor a database, or SQLAlchemy is not installed.
    """
    if facts.get("uri"):
        return FileSource(facts["uri"])
    if facts.get("conn_id"):
        return _database(facts["conn_id"], connect, table=facts.get("table"), query=facts.get("query"))
    raise DatasetError("the record names no data that could be read again: it has neither uri nor conn_id")


def _database(conn_id: str, connect: Connect | None, *, table: str | None, query: str | None) -> Source:
    try:
        from airflow_provider_ifp.adapters.sql.connections import connect_by_environment
        from airflow_provider_ifp.adapters.sql.source import DatabaseSource
    except ImportError as error:
        raise DatasetError(
            f"data.source: reading by conn_id needs SQLAlchemy ({error}), which comes with "
            "'airflow-provider-ifp[airflow]' and 'airflow-provider-ifp[mlflow]'; install one, and your "
            "database's driver"
        ) from None
    return DatabaseSource(conn_id, connect or connect_by_environment, table=table, query=query)

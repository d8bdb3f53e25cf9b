"""Database connections without Airflow: `AIRFLOW_CONN_<ID>` of the environment as an SQLAlchemy engine.

Airflow's own reading of such a connection, by the hook of the database's provider, is in `hooks/databases`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import sqlalchemy as sa

from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Connect = Callable[[str], sa.Engine]
    """Gives the engine of a connection, by its id."""

# Airflow's names of connection types, where SQLAlchemy has another.
_DIALECTS = {"postgres": "postgresql", "pgsql": "postgresql"}
_EXTRA = "__extra__"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """An Airflow connection's fields, as far as a database's address needs them.

    Attributes:
        conn_type: `postgres`, `mysql`, `sqlite` and the like, or SQLAlchemy's `dialect+driver`.
        host: Server, or the file of a SQLite database.
        login: User.
        password: Never shown.
        schema: Name of the database on that server.
        port: Where the server listens.
        extra: More of the driver's arguments.
    """

    conn_type: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Read a connection's text form: a URI, or JSON with the fields' names.

        Raises:
            DatasetError: it is neither.
        """
        try:
            return cls(**_from_json(text)) if text.lstrip().startswith("{") else cls(**_from_uri(text))
        except (ValueError, TypeError, KeyError):
            # The text itself may hold a password.
            raise DatasetError(
                f"{where}: expected a URI such as postgres://user:password@host:5432/database, or JSON with "
                "conn_type, host, login, password, schema, port, extra"
            ) from None

    def engine(self, where: str) -> sa.Engine:
        """The engine; nothing is connected yet.

        Raises:
            DatasetError: no driver for this kind of database is installed.
        """
        try:
            return sa.create_engine(self._url())
        except (ImportError, sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise DatasetError(
                f"{where}: no driver for connections of type {self.conn_type!r}: {error}; install one that "
                "SQLAlchemy knows, such as psycopg2-binary"
            ) from None

    def _url(self) -> sa.URL:
        dialect = _DIALECTS.get(self.conn_type, self.conn_type)
        if dialect == "postgresql" and find_spec("psycopg") is None:
            dialect = "postgresql+psycopg2"
        if dialect == "sqlite":
            return sa.URL.create(dialect, database=self.host or self.schema)
        arguments = {name: str(value) for name, value in self.extra.items() if isinstance(value, str | int)}
        return sa.URL.create(
            dialect, self.login, self.password, self.host, self.port, self.schema, query=arguments
        )


def connect_by_environment(conn_id: str) -> sa.Engine:
    """The database of an Airflow connection that stands in the environment.

    Raises:
        DatasetError: there is no such variable, it cannot be read, or its driver is missing.
    """
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = os.environ.get(name)
    if not text:
        raise DatasetError(
            f"data.source: conn_id {conn_id!r}: outside Airflow it is read from {name}; set it"
        )
    return DatabaseAddress.parse(text, where=name).engine(where=name)


def _from_json(text: str) -> dict[str, Any]:
    known = json.loads(text)
    extra = known.get("extra") or {}
    return {
        **{name: known.get(name) or None for name in ("host", "login", "password", "schema")},
        "conn_type": known["conn_type"],
        "port": int(known["port"]) if known.get("port") else None,
        "extra": json.loads(extra) if isinstance(extra, str) else dict(extra),
    }


def _from_uri(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    if not parts.scheme or "://" not in text:
        raise ValueError(text)
    # Not `parts.hostname`, which is in lower case: a file or a socket may stand there.
    place = parts.netloc.rpartition("@")[2]
    extra = dict(parse_qsl(parts.query))
    return {
        "conn_type": parts.scheme,
        "host": unquote(place.rpartition(":")[0] if parts.port else place) or None,
        "login": None if parts.username is None else unquote(parts.username),
        "password": None if parts.password is None else unquote(parts.password),
        "schema": unquote(parts.path.removeprefix("/")) or None,
        "port": parts.port,
        "extra": json.loads(extra[_EXTRA]) if _EXTRA in extra else extra,
    }

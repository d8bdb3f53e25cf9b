"""Databases behind Airflow connections, for policies whose `data.source` has a `conn_id`; and their queries.

The hook of the database's provider gives the engine, with all that it knows of its connections. Where that
provider is not installed, or its hook gives none, the connection's fields make the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from jinja2 import TemplateError

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.policy.sections import SqlSource

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import BaseOperator, Connection, Context

    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy


def connect(conn_id: str) -> sa.Engine:
    """The engine of an Airflow connection; nothing is connected yet.

    Raises:
        DatasetError: there is no such connection, or no driver for it.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise _unknown(conn_id) from None
    engine_of = getattr(_hook(connection), "get_sqlalchemy_engine", None)
    return engine_of() if engine_of else _engine(connection)


async def label_database(policy: Policy) -> Connect | None:
    """Look up, inside a triggerer, the database that holds the labels of a policy's answers.

    Returns:
        Gives its engine, made of the connection's fields: the hook of its provider would ask Airflow for the
        connection once more, which blocks a triggerer. None: labels are in no database.
    """
    source = policy.data.source
    if not policy.data.key or not isinstance(source, SqlSource):
        return None
    try:
        connection = await BaseHook.aget_connection(source.conn_id)
    except AirflowNotFoundException:
        return _refuse
    return lambda _: _engine(connection)


def rendered(operator: BaseOperator, policy: Policy, context: Context) -> Policy:
    """The policy with its query rendered by Jinja, in the task's context; others as they are.

    Raises:
        AirflowFailException: the template is wrong, or names what the context does not have.
    """
    source = policy.data.source
    if not isinstance(source, SqlSource) or source.query is None:
        return policy
    try:
        return policy.with_query(operator.render_template(source.query, context))
    except TemplateError as error:
        raise AirflowFailException(
            f"data.source.query: {type(error).__name__}: {error}; correct the template"
        ) from error


def _refuse(conn_id: str) -> sa.Engine:
    raise _unknown(conn_id)


def _unknown(conn_id: str) -> DatasetError:
    return DatasetError(
        f"data.source: Airflow has no connection {conn_id!r}; add it, or name another as conn_id"
    )


def _hook(connection: Any) -> Any:
    try:
        return connection.get_hook()
    except (AirflowException, ImportError):  # no provider for connections of this type is installed
        return None


def _engine(connection: Connection) -> sa.Engine:
    from airflow_provider_ifp.adapters.sql.connections import DatabaseAddress

    return DatabaseAddress(
        conn_type=connection.conn_type or "",
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        port=connection.port,
        extra=connection.extra_dejson,
    ).engine(where=f"connection {connection.conn_id}")

"""Whole tables out of Parquet or CSV files, for commands that hold all rows at once.

Unlike a dataset's scan, which takes a CSV file's types from its beginning, all rows decide the types here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.files import find_files
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyarrow import fs

    Choose = Callable[[pa.Schema], Sequence[str]]


def read_table(uri: str, choose: Choose) -> pa.Table:
    """Read all rows of a file, or of a folder of files.

    Args:
        uri: Parquet or CSV; a local path, or any URI that `storage.resolve_uri` knows.
        choose: Takes the schema and returns the columns wanted, or raises what is wrong with it.

    Returns:
        The columns wanted. An empty field of a CSV file is missing, in columns of text too.

    Raises:
        DatasetError: Missing, unreadable, files that do not fit together, a column that is there twice, no
            row.
    """
    found = find_files(uri)
    read = _read_csv if found.kind == "csv" else _read_parquet
    tables = []
    for path in found.files:
        try:
            tables.append(read(found.filesystem, path, choose, uri))
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(
                f"{uri}: {path} cannot be read as {found.kind}: {first_line(error)}; write it again"
            ) from None
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DatasetError(
            f"{uri}: the files do not fit together: {first_line(error)}; write them with the same columns"
        ) from None
    if not table.num_rows:
        raise DatasetError(f"{uri}: holds no row; write the rows that are to be judged")
    return table


def _read_parquet(filesystem: fs.FileSystem, path: str, choose: Choose, uri: str) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(filesystem.open_input_file(path)) as file:
        _require_unique(file.schema_arrow, uri)
        return file.read(columns=list(choose(file.schema_arrow)))


def _read_csv(filesystem: fs.FileSystem, path: str, choose: Choose, uri: str) -> pa.Table:
    from pyarrow import csv

    with filesystem.open_input_stream(path) as stream:
        table = csv.read_csv(stream)
    _require_unique(table.schema, uri)
    table = table.select(choose(table.schema))
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(place)
            present = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, field, present)
    return table


def _require_unique(schema: pa.Schema, uri: str) -> None:
    twice = {name for name in schema.names if schema.names.count(name) > 1}
    if twice:
        named = ", ".join(map(repr, sorted(twice)))
        raise DatasetError(f"{uri}: columns that are there twice: {named}; rename one of each")

"""Hold the holdout against the rows that the versions say they were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.fingerprint import Fingerprint
from airflow_provider_ifp.adapters.sources import reopen_source
from airflow_provider_ifp.core.errors import DatasetError, IfpError, ReproductionError
from airflow_provider_ifp.core.gates.leakage import Overlap
from airflow_provider_ifp.loop.registry.recorded import read_provenance, to_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.registry.verdict import Check
    from airflow_provider_ifp.loop.gates.holdout import Holdout


def find_leakage(
    registry: Registry,
    versions: Mapping[str, ModelVersion],
    holdout: Holdout,
    key: Sequence[str],
    connect: Connect | None = None,
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Look for rows of the holdout in the training data of the versions, which is read again.

    With a key only the key's columns are read; without one whole rows are compared.

    Args:
        registry: Where the versions' provenance is.
        versions: In words -> the version.
        holdout: The rows, with the key's columns.
        key: The columns that name a row; empty: there is none.
        connect: As for `open_source`.

    Returns:
        Failed checks, and warnings: what may be a leak, and versions whose training rows cannot be read.
    """
    checks: list[Check] = []
    warnings: list[str] = []
    for who, version in versions.items():
        try:
            data = _recorded_data(registry, version)
            found = [_overlap(who, facts, holdout, key, connect) for facts in data]
        except (DatasetError, ReproductionError) as error:
            warnings.append(f"leakage from the training of {who} was not looked for: {error}")
            continue
        for overlap in found:
            checks += overlap.checks()
            warnings += overlap.warnings()
    return tuple(checks), tuple(warnings)


def _recorded_data(registry: Registry, version: ModelVersion) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = read_provenance(registry, version).get("data") or []
    if not data or any(not isinstance(one.get("window"), dict) for one in data):
        raise ReproductionError("the rows that it was trained on are not on record")
    return data


def _overlap(
    who: str,
    facts: Mapping[str, Any],
    holdout: Holdout,
    key: Sequence[str],
    connect: Connect | None,
) -> Overlap:
    rows, start = holdout.table, holdout.window.start
    time_column = facts["time_column"]
    # Of rows without a key all is compared but their time, which says nothing of two of them being the same.
    compared = key or [name for name in facts["columns"] if name in rows.column_names and name != time_column]
    columns = list(dict.fromkeys([*compared, time_column]))
    trained = reopen_source(facts, connect).read(to_window(facts["window"]), time_column, columns)
    late = 0
    if start is not None:
        late = pc.sum(pc.greater_equal(trained[time_column], pa.scalar(start))).as_py() or 0
    if key:
        named = rows.select(key).drop_null(), trained.select(key).drop_null()
        keys = _count_shared(*named, f"data.key of {who}")
        return Overlap(who=who, rows=rows.num_rows, late=late, keys=keys)
    equal = _count_shared(rows.select(compared), trained.select(compared), f"training rows of {who}")
    return Overlap(who=who, rows=rows.num_rows, late=late, equal=equal)


def _count_shared(rows: pa.Table, among: pa.Table, what: str) -> int:
    """Count the rows that are there too, null for null."""
    try:
        fingerprint = Fingerprint(rows.schema)
        found, known = fingerprint.hash_rows(rows), fingerprint.hash_rows(among)
    except IfpError as error:
        raise DatasetError(f"{what}: {error}") from None
    return int(np.isin(found, known).sum())

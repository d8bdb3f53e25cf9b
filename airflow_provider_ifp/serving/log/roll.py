"""Turn spools into files of the prediction log: one for each hour that a spool has rows of.

A file is named by its spool, and one that is there already is not written again. So a process may be killed
at any point in between, and whoever does the same later completes it without doubling a row.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_provider_ifp.adapters.data.storage import first_line, write_atomically
from airflow_provider_ifp.adapters.log.compacted import is_logged
from airflow_provider_ifp.adapters.log.files import locate
from airflow_provider_ifp.adapters.log.time_folders import split_by_time, to_parquet
from airflow_provider_ifp.serving.log.spool import dead_spools, read_spool

if TYPE_CHECKING:
    from airflow_provider_ifp.serving.log.spool import Spool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in the spools of dead processes: how many `spools`, and their whole `rows`."""

    spools: int = 0
    rows: int = 0


def roll(spool: Spool, root: str) -> int:
    """Put a spool's rows into the log and delete it; returns the rows.

    Raises:
        OSError: The root cannot be written, or the spool not read; the spool stays.
        DatasetError: The store does not answer, or a footer in the log is damaged; likewise.
        pyarrow.ArrowException: Rows that Parquet cannot hold; likewise.
    """
    rows, _ = read_spool(spool.path)
    return _put(spool, rows, root)


def recover_spools(folder: Path, root: str) -> Recovered:
    """Put the rows of dead processes into the log.

    Spools of living processes are left alone; with a warning also those that were meant for another root, or
    whose rows Parquet cannot hold.

    Args:
        folder: Where the spools are; several servers may share it.
        root: Path or URI of the log.

    Raises:
        OSError, DatasetError: As `roll`; what was recovered before is in the log.
    """
    root = canonical_root(root)
    spools = count = 0
    for spool in dead_spools(folder):
        try:
            rows, meant_for = read_spool(spool.path)
            if meant_for in (None, root):
                count += _put(spool, rows, root)
                spools += 1
            else:
                _warn_once(f"{spool.path} is for the log {meant_for}; start a server with it, or delete it")
        except pa.ArrowException as error:
            _warn_once(f"{spool.path} cannot become Parquet: {first_line(error)}; look at it, or delete it")
        finally:
            spool.close()
    return Recovered(spools, count)


def canonical_root(root: str) -> str:
    """Write a root as it stands in spools: a path as the absolute one.

    >>> canonical_root("s3://lake/predictions/")
    's3://lake/predictions'
    """
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def _put(spool: Spool, rows: pa.Table | None, root: str) -> int:
    if rows is not None:
        filesystem, folder = locate(root, spool.name.model, spool.name.stage)
        name = f"part-{spool.name.identity}.parquet"
        for hour, part in split_by_time(rows, every=timedelta(hours=1), name="date=%Y-%m-%d/hour=%H"):
            if not is_logged(filesystem, f"{folder}/{hour}", name):
                write_atomically(filesystem, f"{folder}/{hour}/{name}", to_parquet(part))
    spool.remove()
    return 0 if rows is None else rows.num_rows


@functools.cache
def _warn_once(text: str) -> None:
    """Servers look for the dead again and again, and would say the same each minute."""
    log.warning(text)

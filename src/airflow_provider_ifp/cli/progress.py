"""A bar on standard error while long work goes on, where somebody looks at a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.adapters.dataset_profile import Advance

_PATIENCE = 1.0
"""Seconds before a bar appears at all."""


@contextmanager
def progress(what: str, unit: str = "values") -> Iterator[Advance]:
    """Give what counts the values, or other units, done.

    Nothing is shown in a pipe, or of work that is done in a second.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(
        desc=what, unit=f" {unit}", unit_scale=True, delay=_PATIENCE, file=sys.stderr, leave=False
    ) as bar:
        yield bar.update

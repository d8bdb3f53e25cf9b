"""A bar on standard error while long work goes on, where somebody looks at a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.data.progress import UNSEEN, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm

_PATIENCE = 1.0
"""Seconds before a bar appears at all."""


@contextmanager
def progress(what: str, unit: str = "values") -> Iterator[Progress]:
    """Show how many values, or other units, are done, and of how many where that is known.

    Nothing is shown in a pipe, or of work that is done in a second.
    """
    if not sys.stderr.isatty():
        yield UNSEEN
        return
    from tqdm import tqdm

    with tqdm(
        desc=what, unit=f" {unit}", unit_scale=True, delay=_PATIENCE, file=sys.stderr, leave=False
    ) as bar:
        yield _Bar(bar)


class _Bar(Progress):
    def __init__(self, bar: tqdm[Any]) -> None:
        self._bar = bar

    def expect(self, total: Callable[[], int]) -> None:
        self._bar.total = total()

    def advance(self, done: int) -> None:
        self._bar.update(done)

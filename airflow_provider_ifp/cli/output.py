"""What commands print: results to standard output, messages to standard error."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_ifp.core.registry.verdict import Verdict

DONE, NO, WRONG = 0, 1, 2
"""Exit codes: it was done; the answer is no; wrong use or input."""


def say(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")


def say_json(value: object) -> None:
    """Print a result as JSON."""
    say(json.dumps(value, indent=1, ensure_ascii=False))


def tell(text: str) -> None:
    """Messages go to standard error, so that a result on standard output stays whole."""
    sys.stderr.write(f"{text}\n")


def say_verdict(verdict: Verdict, who: str) -> None:
    """Print a gate's answer: the sentence first, then the checks, then the warnings."""
    waived = "" if verdict.verdict == "pass" or verdict.enforced else " (dry_run: stops nothing)"
    say(f"{who}: {verdict.verdict}{waived}: {verdict.reason}")
    if verdict.checks:
        checks = [[check.name, check.verdict, check.reason] for check in verdict.checks]
        say("")
        say(table(["CHECK", "VERDICT", "REASON"], checks))
    for warning in verdict.warnings:
        say(f"warning: {warning}")


@contextmanager
def warnings_told() -> Iterator[None]:
    """Tell our own warnings as messages, each once however often a command comes by."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("ifp: %(message)s"))
    told: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in told
        told.add(text)
        return new

    handler.addFilter(is_new)
    handler.setLevel(logging.WARNING)
    ours = logging.getLogger("airflow_provider_ifp")
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of plain text; what is None shows as `-`.

    >>> print(table(["VERSION", "STAGE"], [["1", "archived"], ["12", None]]))
    VERSION  STAGE
    1        archived
    12       -
    """
    lines = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def short(digest: str | None) -> str | None:
    """A digest as a table shows it: enough to tell two apart.

    >>> short("sha256:0ac5d3e9f00d0ac5d3e9f00d")
    '0ac5d3e9f00d'
    """
    return None if digest is None else digest.removeprefix("sha256:")[:12]


def _cell(value: object) -> str:
    """One line, so that a reason of several keeps its row."""
    return "-" if value is None else " ".join(str(value).split())

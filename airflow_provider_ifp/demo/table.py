"""The demo in a terminal: a table that grows by a row a month, and a line that says what is being waited for.

Where output is no terminal (a file, a CI log), each step is a line, and the table comes once, at the end.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.demo.dag_run import LoopRun
    from airflow_provider_ifp.demo.traffic import Served
    from airflow_provider_ifp.report.records import CheckRecord, VerdictRecord

_WIDTH_IN_A_FILE = 160
_NONE = "-"
_TITLE = (
    "Which version answered the month before, how far it and the first one erred (RMSE in {unit});\n"
    "what the loop saw as of the day, and what it did"
)


class LiveTable:
    """What is shown while the demo runs."""

    def __init__(self, console: Console, unit: str) -> None:
        self._console = console
        self._started = time.monotonic()
        self._waiting = ""
        self._table = Table(title=_TITLE.format(unit=unit), title_justify="left")
        for name, right in (
            ("as of", False), ("flights", True), ("version", False), ("erred", True), ("first would", True),
            ("largest PSI", False), ("fired", False), ("candidate", False),
            ("good enough?", False), ("no worse?", False), ("production", False),
        ):  # fmt: skip
            self._table.add_column(name, justify="right" if right else "left", no_wrap=name == "as of")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the table on the screen; it stays there when the block ends."""
        if not self._console.is_terminal:
            try:
                yield
            finally:
                self._console.print(self._table)
            return
        with Live(get_renderable=self._draw, console=self._console, refresh_per_second=4):
            try:
                yield
            finally:
                self._waiting = ""

    def wait_for(self, what: str) -> None:
        """Say what is being waited for."""
        if what != self._waiting and not self._console.is_terminal:
            self._console.print(f"{self._clock()} {what}", highlight=False)
        self._waiting = what

    def add(
        self, run: LoopRun, verdict: VerdictRecord | None, served: Served | None, production: str | None
    ) -> None:
        """Add the row of a run.

        Args:
            run: What its tasks said.
            verdict: The gates' answer, where there was one.
            served: What the month before it was worth; None: nothing was in production.
            production: The version in production after the run.
        """
        self._table.add_row(
            run.as_of,
            *_month(served),
            f"{run.largest['psi']:.4f} {run.largest['name']}" if run.largest else _NONE,
            Text("fired", style="bold red") if run.drift["fired"] else "no",
            run.version or _NONE,
            _gate(verdict, compared=False),
            _gate(verdict, compared=True),
            production or "none",
        )

    def _draw(self) -> Group:
        line = Spinner("dots", f"{self._clock()} {self._waiting}") if self._waiting else Text(self._clock())
        return Group(self._table, line)

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes}:{seconds:02}"


def open_console() -> Console:
    """Standard output; wide enough for the table where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_IN_A_FILE)


def _month(served: Served | None) -> tuple[str, str, str, str]:
    if served is None:
        return _NONE, "none", _NONE, _NONE
    return (
        f"{served.rows:,}",
        served.version,
        f"{served.error:.2f}",
        f"{served.first_error:.2f}",
    )


def _gate(verdict: VerdictRecord | None, *, compared: bool) -> str | Text:
    """One gate's numbers: the bounds, or the comparison with production."""
    checks = (
        [check for check in verdict.checks if (check.name == "comparison") == compared] if verdict else []
    )
    if not checks:
        return "no production yet" if compared and verdict and verdict.compared_to is None else _NONE
    passed = all(check.verdict == "pass" for check in checks)
    return Text(", ".join(map(_numbers, checks)), style="green" if passed else "bold red")


def _numbers(check: CheckRecord) -> str:
    if check.value is None:
        return check.verdict
    other = check.against if check.name == "comparison" else check.bound
    sign = "against" if check.name == "comparison" else "≤" if check.value <= (other or 0.0) else ">"
    return f"{check.value:.2f} {sign} {other:.2f}" if other is not None else f"{check.value:.2f}"

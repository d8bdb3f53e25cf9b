"""The scorer's process: `python -m airflow_provider_ifp.training.scorer MODEL_FOLDER FRAME ANSWERS`.

Each version is scored in a process of its own: two versions bring sources of the same name, and the first one
imported would answer for both.

With `--each` a row that raises is left unanswered. With `--paced` the process goes on after that: for each
line with a row's number that it reads, it answers that row alone and writes how many microseconds it took.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.launchers import end_with_parent, user_environment
from airflow_provider_ifp.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

_SHOWN: Final = 2000  # characters of a failed scorer's output that an error repeats
_READY: Final = "ready"
ANSWERED: Final = "answered"
"""The column that says which rows got an answer."""
MOST_RAISED: Final = 200
"""Rows that are tried one by one; past so many, a part of the rows that raises counts as raising in all."""
_WARM_UP: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a version did with the rows.

    Attributes:
        answers: One row each, with `prediction`, where there is one `score`, and `answered`.
        times: Microseconds that one row took by itself, shape (timed rows,).
    """

    answers: pa.Table
    times: NDArray[np.float64]


def score(folders: Sequence[Path], table: pa.Table, scratch: Path) -> list[pa.Table]:
    """Score the same rows with several versions, side by side.

    Args:
        folders: Verified model folders.
        table: n rows with at least the features.
        scratch: An empty folder for what passes between the processes.

    Returns:
        For each folder n rows with `prediction` and, where there is one, `score`.

    Raises:
        ModelError: a model does not load, raises, or answers in another shape.
    """
    _write(table, scratch / "frame.arrow")
    with ExitStack() as stack:
        scorers = [_Scorer(folder, place, scratch, stack) for place, folder in enumerate(folders)]
        return [scorer.answers() for scorer in scorers]


def replay(folders: Sequence[Path], table: pa.Table, scratch: Path, timed: Sequence[int]) -> list[Replayed]:
    """Score the same rows with several versions, leave out those that raise, and time some of them.

    The times are taken one row at a time, with one version at work and the others idle, in turns: first to
    last for one row, last to first for the next, so that what slows the machine down slows all alike.

    Args:
        folders: Verified model folders.
        table: n rows with at least the features.
        scratch: An empty folder for what passes between the processes.
        timed: Places of the rows that are timed.

    Raises:
        ModelError: a model does not load, or answers in another shape.
    """
    _write(table, scratch / "frame.arrow")
    with ExitStack() as stack:
        scorers = [
            _Scorer(folder, place, scratch, stack, "--each", "--paced")
            for place, folder in enumerate(folders)
        ]
        for scorer in scorers:
            scorer.wait_until_ready()
        times = np.zeros((len(scorers), len(timed)))
        for turn, row in enumerate([*timed[:_WARM_UP], *timed]):
            for place in range(len(scorers)) if turn % 2 else reversed(range(len(scorers))):
                took = scorers[place].time_row(row)
                if turn >= len(timed[:_WARM_UP]):
                    times[place, turn - len(timed[:_WARM_UP])] = took
        return [Replayed(scorer.answers(), times[place]) for place, scorer in enumerate(scorers)]


class _Scorer:
    """One version's process."""

    def __init__(self, folder: Path, place: int, scratch: Path, stack: ExitStack, *flags: str) -> None:
        self._folder = folder
        self._answers = scratch / f"answers-{place}.arrow"
        self._said = scratch / f"said-{place}.txt"
        command = [sys.executable, "-m", __spec__.name, str(folder), str(scratch / "frame.arrow")]
        said = stack.enter_context(self._said.open("wb"))
        self._process = stack.enter_context(
            subprocess.Popen(
                [*command, str(self._answers), *flags],
                stdin=subprocess.PIPE if flags else subprocess.DEVNULL,
                stdout=subprocess.PIPE if flags else said,
                stderr=subprocess.STDOUT if not flags else said,
                text=True,
                env=user_environment(os.environ, seed=0),
            )
        )
        # Before the process is waited for: where another one failed, this one is not wanted any more.
        stack.callback(self._process.kill)

    def wait_until_ready(self) -> None:
        """Wait until all rows are answered."""
        if self._line() != _READY:
            raise self._failure()

    def time_row(self, row: int) -> float:
        """Microseconds that one row takes."""
        try:
            assert self._process.stdin is not None  # noqa: S101 - opened above, with the flags
            print(row, file=self._process.stdin, flush=True)
            return float(self._line())
        except (OSError, ValueError):
            raise self._failure() from None

    def answers(self) -> pa.Table:
        """What it wrote, once its process has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.wait() != 0 or not self._answers.exists():
            raise self._failure()
        return _read(self._answers)

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - as above
        return self._process.stdout.readline().strip()

    def _failure(self) -> ModelError:
        self._process.kill() if self._process.poll() is None else None
        said = self._said.read_text(encoding="utf-8", errors="replace").strip()
        return ModelError(
            f"scoring with {self._folder.name} failed (exit code {self._process.wait()}): {said[-_SHOWN:]}"
        )


def main(arguments: list[str]) -> int:
    """Answer the frame's rows; returns the exit code."""
    from airflow_provider_ifp.training.loading import open_model

    end_with_parent()
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "frame", "answers"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--paced", action="store_true")
    asked = parser.parse_args(arguments)
    replies = _take_stdout() if asked.paced else None
    try:
        model, frame = open_model(asked.folder), _read(asked.frame).to_pandas()
        answered = _answer_each(model, frame) if asked.each else model.predict(frame)
        _write(pa.Table.from_pandas(answered, preserve_index=False), asked.answers)
    except Exception as error:  # noqa: BLE001 - user code may raise anything; the parent shows this one line
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    if replies is not None:
        _keep_pace(model, frame, replies)
    return 0


def _take_stdout() -> IO[str]:
    """Keep standard output for the replies: what user code prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _keep_pace(model: Any, frame: pd.DataFrame, replies: IO[str]) -> None:
    """Time the rows that are asked for."""
    print(_READY, file=replies, flush=True)
    for line in sys.stdin:
        row = frame.iloc[[int(line)]].reset_index(drop=True)
        started = time.perf_counter_ns()
        # What raises is counted as unanswered already; here it only takes time.
        with suppress(Exception):
            model.predict(row)
        print((time.perf_counter_ns() - started) / 1_000, file=replies, flush=True)


def _answer_each(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Answer all rows, those that raise left out: halve what raises until it is one row."""
    import pandas as pd

    parts: list[pd.DataFrame] = []
    raised: list[int] = []
    waiting = [(0, len(frame))] if len(frame) else []
    while waiting:
        start, stop = waiting.pop()
        rows = frame.iloc[start:stop].reset_index(drop=True)
        try:
            parts.append(model.predict(rows).set_axis(range(start, stop)))
        except Exception as error:  # noqa: BLE001 - user code may raise anything
            if stop - start == 1 or len(raised) >= MOST_RAISED:
                sys.stdout.write(f"rows {start} to {stop - 1}: {type(error).__name__}: {error}\n")
                raised += range(start, stop)
            else:
                middle = (start + stop) // 2
                waiting += [(middle, stop), (start, middle)]
    answered = pd.concat(parts) if parts else pd.DataFrame({"prediction": pd.Series(dtype="float64")})
    known = answered.index
    return answered.reindex(range(len(frame))).assign(**{ANSWERED: pd.RangeIndex(len(frame)).isin(known)})


def _write(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a scorer's process does for a replay: it leaves out what raises, and times rows one by one."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

READY: Final = "ready"
ANSWERED: Final = "answered"
"""The column that says which rows got an answer."""
MOST_RAISED: Final = 200
"""Rows that are tried one by one; past so many, a part of the rows that raises counts as raising in all."""


def take_stdout() -> IO[str]:
    """Keep standard output for the replies: what user code prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def answer_each(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Answer all rows, those that raise left out: halve what raises until it is one row.

    Args:
        model: Its `predict` answers a frame with a row for each.
        frame: n rows.

    Returns:
        n rows with what the model answers, and `answered`.
    """
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


def keep_pace(model: Any, frame: pd.DataFrame, replies: IO[str]) -> None:
    """For each row's number that is read, answer that row and write how many microseconds it took.

    Args:
        model: As of `answer_each`.
        frame: The rows.
        replies: As `take_stdout` gives it; the first line says that it can begin.
    """
    print(READY, file=replies, flush=True)
    for line in sys.stdin:
        row = frame.iloc[[int(line)]].reset_index(drop=True)
        started = time.perf_counter_ns()
        # What raises is counted as unanswered already; here it only takes time.
        with suppress(Exception):
            model.predict(row)
        print((time.perf_counter_ns() - started) / 1_000, file=replies, flush=True)

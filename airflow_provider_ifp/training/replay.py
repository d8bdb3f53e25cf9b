"""Several versions answer the same rows, and take turns while they are timed."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training import scorer
from airflow_provider_ifp.training.layers import version_environment
from airflow_provider_ifp.training.pace import READY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

_SHOWN: Final = 2000  # characters of a failed scorer's output that an error repeats
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


def replay(
    folders: Sequence[Path],
    table: pa.Table,
    scratch: Path,
    timed: Sequence[int],
    *,
    layers: Path | None = None,
) -> list[Replayed]:
    """Score the same rows with several versions, leave out those that raise, and time some of them.

    The times are taken one row at a time, with one version at work and the others idle, in turns: first to
    last for one row, last to first for the next, so that what slows the machine down slows all alike.

    Args:
        folders: Verified model folders.
        table: n rows with at least the features.
        scratch: An empty folder for what passes between the processes.
        timed: Places of the rows that are timed.
        layers: As of `layers.version_environment`.

    Raises:
        ModelError: a model does not load, answers in another shape, or asks for what cannot be installed.
    """
    scorer.write_rows(table, scratch / "frame.arrow")
    with ExitStack() as stack:
        places = [(folder, version_environment(folder, layers)) for folder in folders]
        paced = [_Paced(*version, place, scratch, stack) for place, version in enumerate(places)]
        for one in paced:
            one.wait_until_ready()
        warm_up = timed[:_WARM_UP]
        times = np.zeros((len(paced), len(timed)))
        for turn, row in enumerate([*warm_up, *timed]):
            for place in range(len(paced)) if turn % 2 else reversed(range(len(paced))):
                took = paced[place].time_row(row)
                if turn >= len(warm_up):
                    times[place, turn - len(warm_up)] = took
        return [Replayed(one.answers(), times[place]) for place, one in enumerate(paced)]


class _Paced:
    """One version's process."""

    def __init__(
        self, folder: Path, environment: dict[str, str], place: int, scratch: Path, stack: ExitStack
    ) -> None:
        self._folder = folder
        self._answers = scratch / f"answers-{place}.arrow"
        self._said = scratch / f"said-{place}.txt"
        order = scorer.Order(
            folder=str(folder),
            frame=str(scratch / "frame.arrow"),
            answers=str(self._answers),
            facts=str(scratch / f"facts-{place}.json"),
            each=True,
            paced=True,
        )
        path = scratch / f"order-{place}.json"
        path.write_text(json.dumps(asdict(order)), encoding="utf-8")
        said = stack.enter_context(self._said.open("wb"))
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", scorer.__name__, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=environment,
            )
        )
        # Before the process is waited for: where another one failed, this one is not wanted any more.
        stack.callback(self._process.kill)

    def wait_until_ready(self) -> None:
        """Wait until all rows are answered."""
        if self._line() != READY:
            raise self._failure()

    def time_row(self, row: int) -> float:
        """Microseconds that one row takes."""
        try:
            assert self._process.stdin is not None  # noqa: S101 - a pipe, see above
            print(row, file=self._process.stdin, flush=True)
            return float(self._line())
        except (OSError, ValueError):
            raise self._failure() from None

    def answers(self) -> pa.Table:
        """What it wrote, once its process has ended."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe, see above
        self._process.stdin.close()
        if self._process.wait() != 0 or not self._answers.exists():
            raise self._failure()
        return scorer.read_rows(self._answers)

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, see above
        return self._process.stdout.readline().strip()

    def _failure(self) -> ModelError:
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        said = self._said.read_text(encoding="utf-8", errors="replace").strip()
        return ModelError(f"scoring with {self._folder.name} failed (exit code {code}): {said[-_SHOWN:]}")

"""The scorer's process: `python -m airflow_provider_ifp.training.scorer ORDER`.

Each version is scored in a fresh process, from its verified files alone: two versions bring sources of the
same name, and the first one imported would answer for both. Before it answers the rows it is probed with
batches of other sizes, as a server would ask it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from airflow_provider_ifp.adapters.launch.process_tree import end_with_parent
from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.layers import version_environment
from airflow_provider_ifp.training.pace import answer_each, keep_pace, take_stdout

if TYPE_CHECKING:
    import pandas as pd

BATCHES: Final = (1, 2, 7, 1000)
"""Rows of the batches that a version must answer before it is judged."""
_SHOWN = 2000  # characters of a failed scorer's output that a message repeats
_KILOBYTES: Final = 1024
_FROZEN: Final = (
    "it answers some batches and not others, as a model does that was exported with an example of one size: "
    "export it with a dynamic batch dimension (torch.export's dynamic_shapes), or save it without an "
    "input_example"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One scorer's work, as JSON between the processes.

    Attributes:
        folder: A verified model folder.
        frame: Arrow file of the rows.
        answers: Where the answers go.
        facts: Where `Facts` go.
        each: Leave out the rows that raise; nothing is probed then.
        paced: Go on afterwards, and time the rows that are asked for, one by one.
    """

    folder: str
    frame: str
    answers: str
    facts: str
    each: bool = False
    paced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What it took to answer.

    Attributes:
        load_seconds: Importing and loading.
        score_seconds: Answering all rows at once.
        peak_mb: The process's largest resident memory, 2^20 bytes.
    """

    load_seconds: float
    score_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of one version: its answers, or why there are none.

    Attributes:
        answers: n rows with `prediction` and, where there is one, `score`; None: there is a problem.
        problem: In words.
        facts: What it took, where it ended by itself.
    """

    answers: pa.Table | None
    problem: str | None = None
    facts: Facts | None = None

    def require(self, who: str) -> pa.Table:
        """Return the answers.

        Raises:
            ModelError: there are none.
        """
        if self.answers is None:
            raise ModelError(f"scoring with {who} failed: {self.problem}")
        return self.answers


def score(
    folders: list[Path],
    table: pa.Table,
    scratch: Path,
    *,
    timeout: float | None = None,
    layers: Path | None = None,
) -> list[Scored]:
    """Score the same rows with several versions, side by side.

    Args:
        folders: Verified model folders.
        table: n rows with at least the features.
        scratch: An empty folder for what passes between the processes.
        timeout: Seconds after which a version that has not answered is stopped; None: never.
        layers: As of `layers.version_environment`.

    Returns:
        For each folder its answers, or the problem: what it asks for cannot be installed, it does not load,
        raises, answers in another shape, does not answer one of the batches, or took too long.
    """
    frame = scratch / "frame.arrow"
    write_rows(table, frame)
    jobs: list[tuple[Order, subprocess.Popen[str]] | Scored] = []
    for place, folder in enumerate(folders):
        order = Order(
            folder=str(folder),
            frame=str(frame),
            answers=str(scratch / f"answers-{place}.arrow"),
            facts=str(scratch / f"facts-{place}.json"),
        )
        try:
            environment = version_environment(folder, layers)
        except ModelError as error:
            jobs.append(Scored(None, str(error)))
            continue
        jobs.append((order, _start(order, scratch / f"order-{place}.json", environment)))
    deadline = None if timeout is None else time.monotonic() + timeout
    return [job if isinstance(job, Scored) else _end(*job, deadline, timeout) for job in jobs]


def main(arguments: list[str]) -> int:
    """Answer the frame's rows; returns the exit code."""
    from airflow_provider_ifp.training.loading import open_model

    end_with_parent()
    order = Order(**json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    replies = take_stdout() if order.paced else None
    try:
        started = time.monotonic()
        model = open_model(Path(order.folder))
        loaded = time.monotonic()
        frame = read_rows(Path(order.frame)).to_pandas()
        answered = answer_each(model, frame) if order.each else _probed(model, frame)
        scored = time.monotonic()
        write_rows(pa.Table.from_pandas(answered, preserve_index=False), Path(order.answers))
    except Exception as error:  # noqa: BLE001 - user code may raise anything; the parent shows this one line
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    facts = Facts(
        load_seconds=loaded - started,
        score_seconds=scored - loaded,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTES,
    )
    Path(order.facts).write_text(json.dumps(asdict(facts)), encoding="utf-8")
    if replies is not None:
        keep_pace(model, frame, replies)
    return 0


def _probed(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Answer all rows, after batches of the sizes that a server sends.

    Raises:
        ModelError: it raises for one of them, or answers it in another shape than all rows together.
    """
    import pandas as pd

    failures: dict[int, str] = {}
    shapes: dict[int, list[str]] = {}
    for size in BATCHES:
        batch = pd.concat([frame] * -(-size // max(len(frame), 1)), ignore_index=True).head(size)
        try:
            answered = model.predict(batch)
        except Exception as error:  # noqa: BLE001 - user code may raise anything
            failures[size] = f"{type(error).__name__}: {error}"
            continue
        if len(answered) != size:
            failures[size] = f"{len(answered)} answers"
        shapes[size] = list(answered)
    if failures:
        size, problem = next(iter(failures.items()))
        cure = f"; {_FROZEN}" if shapes else ""
        raise ModelError(f"a batch of {size:,} rows: {problem}{cure}")
    answered = model.predict(frame)
    for size, columns in shapes.items():
        if columns != list(answered):
            raise ModelError(
                f"a batch of {size:,} rows is answered with {columns}, {len(frame):,} rows with "
                f"{list(answered)}"
            )
    return pd.DataFrame(answered)


def _start(order: Order, path: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    path.write_text(json.dumps(asdict(order)), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def _end(
    order: Order, process: subprocess.Popen[str], deadline: float | None, timeout: float | None
) -> Scored:
    output = _wait(process, deadline)
    return _scored(order, process.returncode, output, timeout)


def _wait(process: subprocess.Popen[str], deadline: float | None) -> str | None:
    """A process's output; None: it was stopped at the deadline."""
    try:
        return process.communicate(
            timeout=None if deadline is None else max(0.0, deadline - time.monotonic())
        )[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None


def _scored(order: Order, code: int, output: str | None, timeout: float | None) -> Scored:
    if output is None:
        return Scored(None, f"it did not load and answer within {timeout:g} s and was stopped")
    if code != 0 or not Path(order.facts).exists():
        ended = f"it ended with exit code {code}: " if code != 1 else ""
        return Scored(None, f"{ended}{output.strip()[-_SHOWN:] or 'it said nothing'}")
    facts = Facts(**json.loads(Path(order.facts).read_text(encoding="utf-8")))
    return Scored(read_rows(Path(order.answers)), facts=facts)


def write_rows(table: pa.Table, path: Path) -> None:
    """Write rows as the Arrow file that passes between the processes."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_rows(path: Path) -> pa.Table:
    """Read what `write_rows` wrote."""
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

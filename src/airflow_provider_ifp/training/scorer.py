"""The scorer's process: `python -m airflow_provider_ifp.training.scorer MODEL_FOLDER FRAME ANSWERS`.

Each version is scored in a process of its own: two versions bring sources of the same name, and the first one
imported would answer for both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from airflow_provider_ifp.adapters.launchers import end_with_parent, user_environment
from airflow_provider_ifp.core.errors import ModelError

_SHOWN = 2000  # characters of a failed scorer's output that an error repeats


def score(folders: list[Path], table: pa.Table, scratch: Path) -> list[pa.Table]:
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
    frame = scratch / "frame.arrow"
    _write(table, frame)
    jobs = []
    for place, folder in enumerate(folders):
        answers = scratch / f"answers-{place}.arrow"
        command = [sys.executable, "-m", __spec__.name, str(folder), str(frame), str(answers)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=user_environment(os.environ, seed=0),
        )
        jobs.append((answers, process))
    outputs = [process.communicate()[0] for _, process in jobs]
    for folder, (answers, process), output in zip(folders, jobs, outputs, strict=True):
        if process.returncode != 0 or not answers.exists():
            raise ModelError(
                f"scoring with {folder.name} failed (exit code {process.returncode}): "
                f"{output.strip()[-_SHOWN:]}"
            )
    return [_read(answers) for answers, _ in jobs]


def main(arguments: list[str]) -> int:
    """Answer the frame's rows; returns the exit code."""
    from airflow_provider_ifp.training.loading import open_model

    end_with_parent()
    folder, frame, answers = (Path(argument) for argument in arguments)
    try:
        answered = open_model(folder).predict(_read(frame).to_pandas())
        _write(pa.Table.from_pandas(answered, preserve_index=False), answers)
    except Exception as error:  # noqa: BLE001 - user code may raise anything; the parent shows this one line
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _write(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

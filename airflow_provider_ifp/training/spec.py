"""The two files between a task and its trainer: `spec.json` says what to do, `result.json` that it was done.

The trainer may run in another process, container or machine; these files are all that it shares with the
task. A training counts only when a whole `result.json` says so.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_ifp.core.errors import TrainingError

SPEC_VARIABLE = "IFP_TRAINING_SPEC"
"""Environment variable that names the spec, by which `ifp.track` finds that it was launched."""

EXIT_NOT_FINITE = 65
EXIT_PREEMPTED = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a trainer needs.

    Attributes:
        model: Name of the registered model.
        entrypoint: `package.module:function`, or the absolute path of a script.
        params: Parameters of the training function.
        seed: Seeds Python, NumPy and torch before the function is called.
        data: Arrow IPC file with the training window, or None.
        label: The label's column, or None.
        positive: The positive class of a binary label, or None for the contract's default.
        features: The columns that the model sees, in order; empty: all but the label.
        code: Source files of the entrypoint, path within the model's `code/` -> path here.
        path: Folders in which modules are looked for before all others.
        checkpoints: Folder that outlives a retry.
        output: Folder for what training leaves.
    """

    model: str
    entrypoint: str
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    data: str | None = None
    label: str | None = None
    positive: Any = None
    features: list[str] = field(default_factory=list)
    code: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    checkpoints: str
    output: str

    def write(self) -> Path:
        """Write `spec.json` into the output folder; returns its path."""
        return write_json(Path(self.output, "spec.json"), asdict(self))

    @classmethod
    def read(cls, path: Path) -> Spec:
        """Read the spec that `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a whole training left.

    Attributes:
        model_folder: The saved model, an MLflow model folder.
        tags: Tags of the user's own, from `run.register`.
        params: What `run.log_param` wrote.
        device: Where it trained, such as `cpu` or `cuda:0`.
        hardware: CPU, memory, GPU, driver.
        determinism: Threads, deterministic algorithms and their like, as they were when training ended.
        seconds: Wall time of the training function.
    """

    model_folder: str
    tags: dict[str, str]
    params: dict[str, str]
    device: str
    hardware: dict[str, Any]
    determinism: dict[str, Any]
    seconds: float

    def write(self, output: Path) -> Path:
        """Write `result.json` into the output folder, whole or not at all; returns its path."""
        return write_json(output / "result.json", asdict(self))

    @classmethod
    def read(cls, output: Path) -> Result:
        """Read the result.

        Raises:
            TrainingError: there is none, so the training did not end well.
        """
        path = output / "result.json"
        if not path.exists():
            raise TrainingError(f"training left no {path}: it did not end well, so nothing is registered")
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def write_json(path: Path, value: Any) -> Path:
    """Write a file that is either whole or not there."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True, default=str)
        file.flush()
        os.fsync(file.fileno())
    return partial.replace(path)

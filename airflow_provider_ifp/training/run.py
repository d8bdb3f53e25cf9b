"""The run that a training function sees: `train(run)`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from airflow_provider_ifp.core.errors import LossNotFiniteError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import pyarrow as pa

    from airflow_provider_ifp.training.spec import Spec


class TrainingRun:
    """What a training function gets, in a trainer's process.

    Nothing here talks to the registry: parameters and metrics go to a file that the task reads and forwards,
    so that the trainer needs neither credentials nor a network.

    Attributes:
        params: The policy's `train.params`, with the trigger form's `train_params` laid over them.
        seed: The policy's `train.seed`; Python, NumPy and torch are seeded with it already.
        checkpoints: A folder that outlives a retry of the task.
    """

    def __init__(self, spec: Spec) -> None:
        self.params: dict[str, Any] = dict(spec.params)
        self.seed = spec.seed
        self.checkpoints = Path(spec.checkpoints)
        self.model: Any = None
        self.registered = False
        self.tags: dict[str, str] = {}
        self.logged_params: dict[str, str] = {}
        self._spec = spec
        self._events = Path(spec.output, "events.jsonl")

    @property
    def device(self) -> str:
        """`cuda` where torch finds a GPU, else `cpu`."""
        return training_device()

    @overload
    def data(self, kind: Literal["arrow"]) -> pa.Table: ...
    @overload
    def data(self, kind: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
    def data(self, kind: Literal["arrow", "pandas"] = "pandas") -> pa.Table | pd.DataFrame:
        """The training window: features, label, time column and key; never the holdout.

        Args:
            kind: `arrow` maps the file into memory without copying; `pandas` makes a frame of it.

        Raises:
            TrainingError: the run was launched without data, or `kind` is neither.
        """
        import pyarrow as pa

        if self._spec.data is None:
            raise TrainingError("this run was launched without data; set data.source in the policy")
        if kind not in ("arrow", "pandas"):
            raise TrainingError(f"run.data({kind!r}): expected 'arrow' or 'pandas'")
        with pa.memory_map(self._spec.data) as source:
            table = pa.ipc.open_file(source).read_all()
        return table if kind == "arrow" else table.to_pandas()

    def log_param(self, key: str, value: Any) -> None:
        """Record a parameter; it is written once.

        Raises:
            TrainingError: it has another value already, here or in the policy's `train.params`.
        """
        known = {**self.params, **self.logged_params}
        if key in known and str(known[key]) != str(value):
            raise TrainingError(
                f"run.log_param({key!r}, {value!r}): it is {known[key]!r} already, by train.params or logged "
                "before; a parameter is written once: log it under another name"
            )
        self.logged_params[key] = str(value)
        self._emit({"param": key, "value": str(value)})
        _say(f"param {key} = {value}")

    def log_metric(self, key: str, value: float, step: int | None = None) -> None:
        """Record a metric; it appears in the task's log and in MLflow while training runs.

        Raises:
            LossNotFiniteError: the value is NaN or infinite; training ends and nothing is registered.
        """
        number = finite(key, value, step)
        self._emit({"metric": key, "value": number, "step": step or 0, "time": int(time.time() * 1000)})
        _say(f"metric {key} = {number:.6g}" + ("" if step is None else f" at step {step}"))

    def log_model(self, model: Any) -> None:
        """Hand over the trained model; it is saved and registered when the training function has returned."""
        self.model = model

    def register(self, model: Any = None, tags: Iterable[str] | None = None) -> None:
        """Note that the model is to be registered; the operator does it once the result is whole."""
        from airflow_provider_ifp.training.tags import parse_tags

        if model is not None:
            self.model = model
        self.tags.update(parse_tags(tags or ()))
        self.registered = True

    def _emit(self, event: dict[str, Any]) -> None:
        with self._events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def finite(key: str, value: float, step: int | None) -> float:
    """A metric's value as a float.

    Raises:
        LossNotFiniteError: it is NaN or infinite.
    """
    number = float(value)
    if not math.isfinite(number):
        where = "" if step is None else f" at step {step}"
        raise LossNotFiniteError(
            f"metric {key!r} is {number}{where}; the same training would end so again: lower the "
            "learning rate, or look for missing values in the data"
        )
    return number


def training_device() -> str:
    """`cuda` where torch is installed and finds a GPU, else `cpu`."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def used_device() -> str:
    """What a training that has ended ran on: `cpu` unless it imported torch."""
    return "cpu" if sys.modules.get("torch") is None else training_device()


def _say(line: str) -> None:
    # One write a line: torchrun's ranks share this pipe.
    os.write(1, f"{line}\n".encode())

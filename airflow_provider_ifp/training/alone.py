"""A run that nobody launched: `ifp.track` in a notebook or a plain script."""

from __future__ import annotations

import inspect
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.code.environment import read_environment, read_hardware
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.adapters.registry.protocol import Measurement
from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.training.caller import calling_frame, find_model
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.provenance import FORMAT, record_loose_code
from airflow_provider_ifp.training.registration import Registration, register
from airflow_provider_ifp.training.run import finite, training_device, used_device
from airflow_provider_ifp.training.tags import parse_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.training.provenance import CodeRecord


@contextmanager
def lone_run(model: str, tracking_uri: str | None) -> Iterator[LoneRun]:
    """Start a run, and end it as `FINISHED`, or as `FAILED` when the block raises."""
    registry = MlflowRegistry(tracking_uri)
    run_id = registry.start_run(model, name=f"{model} (ifp.track)", tags={"ifp.model": model})
    try:
        yield LoneRun(registry, model, run_id)
    except BaseException:
        registry.finish_run(run_id, "FAILED")
        raise
    registry.finish_run(run_id, "FINISHED")


class LoneRun:
    """The run of `ifp.track` outside Airflow; registers by itself.

    Attributes:
        model_name: The registered model.
        run_id: MLflow's run.
        device: `cuda` where torch finds a GPU, else `cpu`.
    """

    def __init__(self, registry: Registry, model_name: str, run_id: str) -> None:
        self.model_name = model_name
        self.run_id = run_id
        self.model: Any = None
        self._registry = registry
        self._params: dict[str, str] = {}
        self._started = time.monotonic()

    @property
    def device(self) -> str:
        """`cuda` where torch finds a GPU, else `cpu`."""
        return training_device()

    def log_param(self, key: str, value: Any) -> None:
        """Record a parameter; it is written once."""
        self._registry.log_params(self.run_id, {key: str(value)})
        self._params[key] = str(value)

    def log_metric(self, key: str, value: float, step: int | None = None) -> None:
        """Record a metric.

        Raises:
            LossNotFiniteError: the value is NaN or infinite.
        """
        now = int(time.time() * 1000)
        self._registry.log_metrics(self.run_id, [Measurement(key, finite(key, value, step), step or 0, now)])

    def log_model(self, model: Any) -> None:
        """Name the model that `register` is to take."""
        self.model = model

    def register(self, model: Any = None, tags: Iterable[str] | None = None) -> str:
        """Save and register the model; returns its version.

        Args:
            model: The model; None: the one logged, else the caller's variable `model`, else the single object
                in the caller's scope with `fit` and `predict` or torch module with parameters.
            tags: Tags of one's own, such as `["commit:a4f9c22", "team=x"]`.

        Raises:
            TrainingError: it cannot tell which object is the model; pass it.
            ModelError: the model cannot be saved.
        """
        parsed = parse_tags(tags or ())
        if model is None:
            model = self.model
        if model is None:
            model = find_model(calling_frame())
        if inspect.isclass(model):
            raise TrainingError(f"run.register({model.__name__}): expected a trained object, got a class")
        with tempfile.TemporaryDirectory(prefix="ifp-register-") as scratch:
            folder = Path(scratch, "model")
            save_model(model, folder)
            code = record_loose_code(Path.cwd())
            made = register(
                self._registry,
                Registration(
                    model=self.model_name,
                    run_id=self.run_id,
                    folder=folder,
                    provenance=self._provenance(code),
                    files=code.files,
                    tags=parsed,
                    nonce=uuid.uuid4().hex,
                ),
            )
        return made.version

    def _provenance(self, code: CodeRecord) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "code": code.facts,
            "data": [],
            "params": self._params,
            "seed": None,
            "environment": read_environment(),
            "hardware": read_hardware(),
            "device": used_device(),
            "mlflow_run": self.run_id,
            "seconds": round(time.monotonic() - self._started, 3),
        }

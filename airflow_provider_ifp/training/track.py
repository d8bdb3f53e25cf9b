"""`ifp.track(name)`: the seed's first snippet, in a notebook, a plain script, or under TrainOperator.

    with ifp.track("revenue-forecast") as run:
        run.log_param("learning_rate", 0.001)
        model.fit(train_loader)
        run.register(tags=["commit:a4f9c22"])

Alone it registers by itself and returns the version. Launched by TrainOperator it only notes what to
register: the operator does that once the training's result is whole.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.training.caller import calling_frame, find_model
from airflow_provider_ifp.training.run import TrainingRun
from airflow_provider_ifp.training.spec import SPEC_VARIABLE, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.training.alone import LoneRun

_launched: list[TrainingRun] = []


@contextmanager
def track(name: str, *, tracking_uri: str | None = None) -> Iterator[TrainingRun | LoneRun]:
    """Track one training run of the registered model `name`.

    Args:
        name: The registered model.
        tracking_uri: MLflow's; None: `MLFLOW_TRACKING_URI`, else MLflow's own default.

    Yields:
        A run with `log_param`, `log_metric`, `log_model` and `register`.

    Raises:
        TrainingError: launched by TrainOperator for another model.
        RegistryError: MLflow does not answer.
    """
    path = os.environ.get(SPEC_VARIABLE)
    if path is None:
        from airflow_provider_ifp.training.alone import lone_run

        with lone_run(name, tracking_uri) as run:
            yield run
        return
    spec = Spec.read(Path(path))
    if spec.model != name:
        raise TrainingError(
            f"ifp.track({name!r}) was launched to train {spec.model!r}; use the policy's model name"
        )
    launched = LaunchedRun(spec)
    _launched.append(launched)
    yield launched


def launched_run() -> TrainingRun | None:
    """The run that a launched script tracked itself, or None."""
    return _launched[-1] if _launched else None


class LaunchedRun(TrainingRun):
    """A run tracked by a script that TrainOperator launched; `register` finds the model as it does alone."""

    def register(self, model: Any = None, tags: Any = None) -> None:
        """Hand over the model, or else the one that the caller means, and its tags; the task registers it.

        Raises:
            TrainingError: it cannot tell which object is the model; pass it.
        """
        if model is None and self.model is None:
            model = find_model(calling_frame())
        super().register(model, tags)

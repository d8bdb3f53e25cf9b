"""MLflow's loader of our model folders: `mlflow.pyfunc.load_model` finds `_load_pyfunc` here by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.model_files import load_object


class AnsweringModel:
    """A frame of the features in; out a frame with `prediction` and, where there is one, `score`."""

    def __init__(self, model: Any, features: list[str], positive: Any) -> None:
        self.model = model
        self.features = features
        self.positive = positive

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow passes it
        """Answer each row.

        Args:
            frame: n rows with at least the features.
            params: MLflow's inference parameters; there are none.

        Returns:
            n rows with `prediction`, and `score` (probability of the positive class, or a list of each
            class's) where the model has `predict_proba`.

        Raises:
            ModelError: a feature is missing, the model answered another number of rows, or does not know the
                positive class.
        """
        seen = self._columns(frame)
        answer = _plain(
            self.model.predict(seen) if hasattr(self.model, "predict") else _forward(self.model, seen)
        )
        if isinstance(answer, pd.DataFrame):
            if "prediction" not in answer:
                raise ModelError(
                    f"the model answered a frame with the columns {list(answer)}: expected "
                    "'prediction' among them"
                )
            answers = answer.reset_index(drop=True)
        else:
            answers = pd.DataFrame({"prediction": _one_per_row(answer, len(seen))})
        if len(answers) != len(seen):
            raise ModelError(
                f"the model answered {len(answers)} rows for {len(seen)}: expected one answer a row"
            )
        if "score" not in answers and hasattr(self.model, "predict_proba"):
            answers["score"] = self._scores(_plain(self.model.predict_proba(seen)), len(seen))
        return answers

    def get_raw_model(self) -> AnsweringModel:
        """This: MLflow hands it out to callers whose frames have the signature's types already."""
        return self

    def _columns(self, frame: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.features if name not in frame]
        if missing:
            raise ModelError(
                f"the request lacks the columns {missing}: expected {self.features}, got {list(frame)}"
            )
        return frame[self.features] if self.features else frame

    def _scores(self, answer: Any, rows: int) -> Any:
        probabilities = np.asarray(answer)
        if probabilities.ndim == 0 or len(probabilities) != rows:
            raise ModelError(
                f"predict_proba answered an array of shape {probabilities.shape} for {rows} rows: "
                "expected one answer a row"
            )
        if probabilities.ndim != 2 or probabilities.shape[1] != 2:  # noqa: PLR2004 - two classes
            return list(probabilities.tolist())
        return probabilities[:, self._positive_column()]

    def _positive_column(self) -> int:
        """The column of the positive class: the one named, else 1 or true, else the larger value."""
        if not hasattr(self.model, "classes_"):
            return 0 if self.positive == 0 else 1
        classes = [_python(value) for value in self.model.classes_]
        positive = 1 if self.positive is None else self.positive
        if positive in classes:
            return classes.index(positive)
        if self.positive is not None:
            raise ModelError(
                f"the positive class {self.positive!r} is none of the model's classes {classes}; correct "
                "data.positive"
            )
        return classes.index(max(classes))


def _one_per_row(answer: Any, rows: int) -> Any:
    values = np.asarray(answer)
    if values.ndim == 2 and values.shape[1] == 1:  # noqa: PLR2004 - a column vector
        values = values[:, 0]
    if values.ndim == 0 or len(values) != rows:
        raise ModelError(
            f"the model answered an array of shape {values.shape} for {rows} rows: expected ({rows},)"
        )
    return values if values.ndim == 1 else list(values.tolist())


def _plain(answer: Any) -> Any:
    """A torch tensor as a NumPy array; anything else as it is."""
    return answer.detach().cpu().numpy() if hasattr(answer, "detach") else answer


def _forward(module: Any, frame: pd.DataFrame) -> Any:
    import torch

    with torch.no_grad():
        return module(torch.tensor(frame.to_numpy(dtype="float32")))


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _load_pyfunc(path: str) -> AnsweringModel:
    """Called by MLflow with the folder that `save_model` gave as `data_path`."""
    model, facts = load_object(Path(path))
    if hasattr(model, "eval") and callable(model.eval) and hasattr(model, "parameters"):
        model.eval()
    return AnsweringModel(model, facts["features"], facts["positive"])

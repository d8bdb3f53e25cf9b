"""The model that `run.register()` means when it is given none: found in the scope of whoever called it."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import TrainingError

if TYPE_CHECKING:
    from types import FrameType


def find_model(frame: FrameType) -> Any:
    """The model that a caller means who names none.

    The variable `model`; else the one object in scope with `fit` and `predict`, or the one torch module with
    parameters.

    Raises:
        TrainingError: there is none, or there are several.
    """
    scope = {**frame.f_globals, **frame.f_locals}
    if "model" in scope and not inspect.ismodule(scope["model"]):
        return scope["model"]
    found = {id(value): (name, value) for name, value in scope.items() if _looks_trained(value)}
    if len(found) == 1:
        return next(iter(found.values()))[1]
    names = ", ".join(sorted(name for name, _ in found.values())) or "none in sight"
    raise TrainingError(
        f"run.register() cannot tell which object is the model ({names}); pass it: "
        "run.register(model, tags=[...])"
    )


def _looks_trained(value: Any) -> bool:
    if isinstance(value, type) or inspect.ismodule(value):
        return False
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return any(True for _ in value.parameters())
    return callable(getattr(value, "fit", None)) and callable(getattr(value, "predict", None))


def calling_frame() -> FrameType:
    """The frame outside this package that called us."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("airflow_provider_ifp."):
        frame = frame.f_back
    if frame is None:
        raise TrainingError("run.register() was called from nowhere; pass the model: run.register(model)")
    return frame

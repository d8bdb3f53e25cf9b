"""How a trained object becomes the files of a version, and an object again.

An MLflow model folder whose loader is ours: `data/model.pkl` (cloudpickle, without tensors),
`data/tensors.safetensors` (every torch tensor, apart from the pickle), `data/model.json` (what the model sees
and how it answers), and `code/` with the entrypoint's sources. Tensors are kept apart because torch's pickles
hold memory addresses: the same training would give other bytes each time, and no content digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections import ChainMap
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.requirements import pinned, used_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow.models import ModelSignature

LOADER = "airflow_provider_ifp.training.pyfunc"
_TENSOR = "ifp.tensor"


def save_model(
    model: Any,
    folder: Path,
    *,
    features: Sequence[str] = (),
    positive: Any = None,
    signature: ModelSignature | None = None,
    code: Mapping[str, str] | None = None,
    requirements: Sequence[str] = (),
) -> None:
    """Write the MLflow model folder.

    Args:
        model: Anything with `predict(frame)`, and `predict_proba(frame)` where it has scores; or a torch
            module, which is then called with a float tensor of the features.
        folder: Where to write; must not exist.
        features: The columns the model sees, in order; empty: whatever the caller sends.
        positive: The positive class, for the score of a binary classifier.
        signature: Types of the features.
        code: Source files, path within `code/` -> path here.
        requirements: pip requirements beside those that the format itself needs.

    Raises:
        ModelError: the model has nothing to predict with, or cannot be pickled.
    """
    import mlflow.pyfunc

    _require_predictor(model)
    staging = folder.with_name(folder.name + ".staging")
    data = staging / "data"
    data.mkdir(parents=True)
    tensors = _dump(model, data / "model.pkl")
    if tensors:
        from safetensors.torch import save_file

        save_file(tensors, data / "tensors.safetensors")
    facts = {"features": list(features), "format": "ifp.model/1", "positive": positive}
    (data / "model.json").write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")
    with warnings.catch_warnings():
        # An example would freeze the batch at its own size; the signature says what MLflow wants it for.
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=LOADER,
            data_path=str(data),
            code_paths=_stage_code(code or {}, staging / "code") or None,
            signature=signature,
            pip_requirements=_requirements(data / "model.pkl", code or {}, requirements),
        )


def load_object(data: Path) -> tuple[Any, dict[str, Any]]:
    """The trained object and the facts about it, from a model folder's `data/`.

    Raises:
        ModelError: the pickle does not load; the message says which module or class is missing.
    """
    facts = json.loads((data / "model.json").read_text(encoding="utf-8"))
    tensors: Mapping[str, Any] = {}
    if (data / "tensors.safetensors").exists():
        from safetensors.torch import load_file

        tensors = load_file(data / "tensors.safetensors")
    with (data / "model.pkl").open("rb") as file:
        try:
            return _Unpickler(file, tensors).load(), facts
        except Exception as error:
            raise ModelError(
                f"the model in {data.parent} does not load: {type(error).__name__}: {error}; "
                "is the environment the one that it was trained in (requirements.txt beside it)?"
            ) from error


def _require_predictor(model: Any) -> None:
    if isinstance(model, type):
        raise ModelError(f"the class {model.__name__} cannot be registered: expected a trained object of it")
    if callable(getattr(model, "predict", None)) or _is_torch_module(model):
        return
    raise ModelError(
        f"a {type(model).__name__} cannot be registered: expected an object with predict(frame), or "
        "a torch module"
    )


def _is_torch_module(model: Any) -> bool:
    return any(
        f"{base.__module__}.{base.__name__}" == "torch.nn.modules.module.Module" for base in type(model).mro()
    )


def _dump(model: Any, path: Path) -> dict[str, Any]:
    """Pickle everything but tensors; returns the tensors by name."""
    pickled = io.BytesIO()
    pickler = _Pickler(pickled)
    try:
        pickler.dump(model)
    except Exception as error:
        raise ModelError(
            f"a {type(model).__name__} cannot be saved: {type(error).__name__}: {error}; keep open "
            "files, locks, data loaders and loggers out of the model"
        ) from error
    path.write_bytes(_with_stable_class_ids(pickled.getvalue()))
    return pickler.tensors


def _with_stable_class_ids(pickled: bytes) -> bytes:
    """Name classes that are pickled by value after the content, where cloudpickle names them at random.

    Without this, the same training in a notebook would give other bytes each time, and no content digest.
    Opening finds a class by that name if it is known already, so other content must have another name.
    """
    # Private, and the only place that tells these names from other text of 32 digits; without it they stay.
    known = getattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", {})
    names = sorted((name.encode() for name in known.values() if name.encode() in pickled), key=pickled.index)
    for place, name in enumerate(names):
        pickled = pickled.replace(name, b"%032d" % place)
    content = hashlib.sha256(pickled).hexdigest()[:24].encode()
    for place in range(len(names)):
        pickled = pickled.replace(b"%032d" % place, content + b"%08d" % place)
    return pickled


def _reduce_code(code: CodeType) -> Any:
    """Leave out the folder of code that is pickled by value: the same script elsewhere is the same content.

    Notebooks and Dag bundles have a folder of their own for each kernel and each commit.
    """
    reduce = cloudpickle.Pickler.dispatch_table[CodeType]
    return reduce(code.replace(co_filename=Path(code.co_filename).name))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Takes torch tensors out of the pickle and numbers them in the order of their first appearance."""

    dispatch_table: ClassVar = ChainMap({CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table)

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.tensors: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._alive: list[Any] = []

    def _function_getnewargs(self, func: Any) -> Any:
        """As `_reduce_code`, for what a function knows of its module."""
        arguments = super()._function_getnewargs(func)
        known = arguments[1]
        if "__file__" in known:
            known["__file__"] = Path(known["__file__"]).name
        return arguments

    def persistent_id(self, obj: Any) -> tuple[str, str, bool, bool] | None:
        if not type(obj).__module__.startswith("torch"):
            return None
        import torch

        if not isinstance(obj, torch.Tensor):
            return None
        name = self._names.get(id(obj))
        if name is None:
            name = self._names[id(obj)] = f"tensor-{len(self._names):05d}"
            self._alive.append(obj)  # so that no other object gets this id while we pickle
            self.tensors[name] = obj.detach().cpu().clone().contiguous()
        return _TENSOR, name, isinstance(obj, torch.nn.Parameter), obj.requires_grad


class _Unpickler(cloudpickle.pickle.Unpickler):  # type: ignore[misc]  # likewise
    """Puts the tensors back."""

    def __init__(self, file: Any, tensors: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._tensors = tensors
        self._restored: dict[str, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        _, name, is_parameter, requires_grad = pid
        if name not in self._restored:
            import torch

            tensor = self._tensors[name]
            self._restored[name] = (
                torch.nn.Parameter(tensor, requires_grad=requires_grad)
                if is_parameter
                else tensor.requires_grad_(requires_grad)
            )
        return self._restored[name]


def _stage_code(code: Mapping[str, str], folder: Path) -> list[str]:
    """Copy the sources to where MLflow takes them from; returns the top entries."""
    for relative, source in code.items():
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(source).read_bytes())
    return sorted(str(entry) for entry in folder.iterdir()) if code else []


def _requirements(pickled: Path, code: Mapping[str, str], more: Sequence[str]) -> list[str]:
    """What the format needs, what the model refers to, and what the caller names, whose word goes first."""
    names = {"airflow-provider-ifp", "cloudpickle", "pandas"} | used_by(pickled.read_bytes(), code.values())
    if "torch" in names:
        names.add("safetensors")
    named = {canonicalize_name(Requirement(one).name) for one in more}
    return [*pinned(names - named), *more]

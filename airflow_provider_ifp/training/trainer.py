"""The trainer's process: `python -m airflow_provider_ifp.training.trainer spec.json`.

Seeds everything, imports the entrypoint, calls it, saves the model, and last of all writes `result.json`. It
ends with its parent: a killed task leaves no training behind that nobody waits for.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from airflow_provider_ifp.adapters.launch.process_tree import end_with_parent
from airflow_provider_ifp.core.errors import (
    EntrypointError,
    IfpError,
    LossNotFiniteError,
    PreemptedError,
    TrainingError,
)
from airflow_provider_ifp.training.determinism import determinism_facts
from airflow_provider_ifp.training.run import used_device
from airflow_provider_ifp.training.seeding import seed_everything
from airflow_provider_ifp.training.spec import (
    EXIT_NOT_FINITE,
    EXIT_PREEMPTED,
    SPEC_VARIABLE,
    Result,
    Spec,
    write_json,
)
from airflow_provider_ifp.training.track import LaunchedRun, launched_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.training.run import TrainingRun

_EXITS: dict[type[BaseException], int] = {
    LossNotFiniteError: EXIT_NOT_FINITE,
    PreemptedError: EXIT_PREEMPTED,
}


def main(arguments: list[str]) -> int:
    """Train as the spec says; returns the exit code (0, 65 not finite, 75 preempted, 1 anything else)."""
    end_with_parent()
    spec_path = Path(arguments[0])
    spec = Spec.read(spec_path)
    os.environ[SPEC_VARIABLE] = str(spec_path)
    _search_first(spec.path)
    try:
        train(spec)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too
        # The task reads this file for its one-line reason; the traceback goes to its log.
        traceback.print_exc()
        write_json(Path(spec.output, "error.json"), {"kind": type(error).__name__, "message": str(error)})
        return _EXITS.get(type(error), 1)
    return 0


def train(spec: Spec) -> Result:
    """Run the entrypoint and save what it trained.

    Raises:
        EntrypointError: it cannot be imported, or is no function of one run.
        TrainingError: it handed over no model.
    """
    seed_everything(spec.seed)
    run: TrainingRun = LaunchedRun(spec)
    started = time.monotonic()
    function = load_entrypoint(spec.entrypoint)
    if function is not None:
        function(run)
    else:
        run = _tracked_run(spec)
    seconds = time.monotonic() - started
    if run.model is None:
        raise TrainingError(
            f"{spec.entrypoint} handed over no model: call run.log_model(model) or run.register(model)"
        )
    return _save(spec, run, seconds)


def _search_first(folders: list[str]) -> None:
    """Find modules there before anywhere else, in this process and in those that it starts."""
    sys.path[:0] = folders
    if folders:
        os.environ["PYTHONPATH"] = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])


def load_entrypoint(entrypoint: str) -> Callable[[TrainingRun], Any] | None:
    """The training function; None for a script that has none and tracked its run itself.

    Raises:
        EntrypointError: it cannot be imported, or is not there.
    """
    if entrypoint.endswith(".py"):
        module = _import_script(Path(entrypoint))
        function = getattr(module, "train", None)
    else:
        name, _, attribute = entrypoint.partition(":")
        try:
            module = importlib.import_module(name)
        except Exception as error:
            raise EntrypointError(_import_failure(entrypoint, error)) from error
        function = getattr(module, attribute, None)
        if function is None:
            raise EntrypointError(f"train.entrypoint: module {name!r} has no function {attribute!r}")
    if function is not None and not callable(function):
        raise EntrypointError(
            f"train.entrypoint: {entrypoint} names a {type(function).__name__}, not a function"
        )
    return function


def _import_script(script: Path) -> Any:
    """Import a script under its own name, so that its classes are found again from the version's `code/`."""
    name = script.stem
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None or not script.is_file():
        raise EntrypointError(f"train.entrypoint: there is no script {script}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except IfpError:
        raise
    except Exception as error:
        if launched_run() is not None:
            # It opened a run of its own: what failed is the training, which a retry may mend.
            raise
        raise EntrypointError(_import_failure(str(script), error)) from error
    return module


def _import_failure(entrypoint: str, error: Exception) -> str:
    return f"train.entrypoint: {entrypoint} does not import: {type(error).__name__}: {error}"


def _tracked_run(spec: Spec) -> TrainingRun:
    run = launched_run()
    if run is None:
        raise EntrypointError(
            f"train.entrypoint: {spec.entrypoint} defines no function train(run) and opened no ifp.track(...)"
        )
    # Whoever opens the model must not import the script, which would train again: its classes are pickled.
    cloudpickle.register_pickle_by_value(sys.modules[Path(spec.entrypoint).stem])
    return run


def _save(spec: Spec, run: TrainingRun, seconds: float) -> Result:
    from airflow_provider_ifp.adapters.code.environment import read_hardware
    from airflow_provider_ifp.training.model_files import save_model
    from airflow_provider_ifp.training.signature import feature_signature

    folder = Path(spec.output, "model")
    save_model(
        run.model,
        folder,
        features=spec.features,
        positive=spec.positive,
        signature=feature_signature(run.data("arrow").schema, spec.features) if spec.data else None,
        code=spec.code,
    )
    result = Result(
        model_folder=str(folder),
        tags=run.tags,
        params=run.logged_params,
        device=used_device(),
        hardware=read_hardware(),
        determinism=determinism_facts(),
        seconds=round(seconds, 3),
    )
    result.write(Path(spec.output))
    return result


if __name__ == "__main__":
    # `python -m` names this module __main__; the functions must be those that `ifp.track` imports.
    from airflow_provider_ifp.training import trainer  # noqa: PLW0406 - see above

    sys.exit(trainer.main(sys.argv[1:]))

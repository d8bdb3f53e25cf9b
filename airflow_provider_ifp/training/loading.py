"""`ifp.load(model, version)`: a version from the registry, verified before it is opened."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.registration import require_whole

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry


def load(model: str, version: str = "@production", *, tracking_uri: str | None = None) -> Any:
    """Load a version as an MLflow pyfunc.

    Args:
        model: The registered model.
        version: Its number, or `@production`, `@shadow`, `@staging`.
        tracking_uri: MLflow's; None: `MLFLOW_TRACKING_URI`, else MLflow's own default.

    Returns:
        An MLflow pyfunc: `predict(frame)` answers a frame with `prediction` and, where there is one, `score`.

    Raises:
        VersionNotFoundError: no such version, or nothing at that stage.
        DigestMismatchError: the stored files are not those that were registered.
        ModelError: they do not load.
    """
    from airflow_provider_ifp.adapters.registry.ledger import resolve
    from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry

    registry = MlflowRegistry(tracking_uri)
    found = resolve(registry, model, version)
    scratch = Path(tempfile.mkdtemp(prefix="ifp-load-"))
    try:
        fetch(registry, found, scratch / "model")
        opened = open_model(scratch / "model")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    # As long as the model lives: what it answers with may still import from its `code/`.
    weakref.finalize(opened, shutil.rmtree, scratch, ignore_errors=True)
    return opened


def fetch(registry: Registry, version: ModelVersion, folder: Path) -> None:
    """Download a version's files and verify them.

    Raises:
        DigestMismatchError: they are not those that were registered.
    """
    registry.download(version.stored, folder)
    require_whole(version, folder, registry)


def open_model(folder: Path) -> Any:
    """Open a verified model folder as an MLflow pyfunc.

    Raises:
        ModelError: it does not load.
    """
    import mlflow.pyfunc

    try:
        return mlflow.pyfunc.load_model(str(folder))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model in {folder} does not load: {type(error).__name__}: {error}") from error

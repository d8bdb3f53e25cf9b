"""What saves and opens models needs MLflow's model module, which takes two seconds to import, and warns."""

import warnings

import pytest


@pytest.fixture(scope="session")
def mlflow_models():
    """Import it once: its own type hints warn while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401

"""What the fork server imports: all that a job needs, the stores of an embedded MLflow among it."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - so that no child has to
    import tests.fault.killing  # noqa: F401 - likewise

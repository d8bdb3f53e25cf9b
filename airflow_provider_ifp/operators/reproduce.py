"""Train a version again from what is on record about it, to know whether that can still be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.core.errors import DigestMismatchError
from airflow_provider_ifp.hooks.databases import connect
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_ifp.adapters.launch.protocol import Launcher


class ReproduceOperator(BaseOperator):
    """Reproduce a version: `bitwise`, `numeric`, `different` or `impossible`; the last two fail the task.

    The version's own code, rows, parameters and seed train again in a process of their own; nothing is
    registered. The answer is recorded (the version's tag `ifp.reproduced`, its run's `ifp/reproduction.json`,
    XCom) before the task fails, at once, without retries.

    Args:
        model: The registered model (templated).
        version: Its number, or `@production`, `@shadow`, `@staging` (templated).
        repository: Where the commit is, a folder or an address (templated); None: the working tree that the
            code lies in, else the recorded address.
        tolerance: Largest difference of scores, or of a regression's predictions, that still is `numeric`.
        max_changed: Largest share of changed labels that still is.
        registry_conn_id: Airflow connection of the registry.
    """

    template_fields: Sequence[str] = ("model", "version", "repository")
    ui_color = "#fff4e5"

    def __init__(
        self,
        *,
        model: str,
        version: Any = "@production",
        repository: str | None = None,
        tolerance: float = 0.01,
        max_changed: float = 0.01,
        registry_conn_id: str = "ifp_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._launcher: Launcher | None = None
        self.model = model
        self.version = version
        self.repository = repository
        self.tolerance = tolerance
        self.max_changed = max_changed
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Train again, compare, record, then pass or fail.

        Raises:
            AirflowFailException: the answer is `different` or `impossible`, or the version's record or files
                are not those that were registered.
        """
        from airflow_provider_ifp.adapters.launch.local import LocalLauncher
        from airflow_provider_ifp.loop.train.reproduce import Wish, reproduce

        registry = ModelRegistryHook(self.registry_conn_id).get_conn()
        self._launcher = LocalLauncher()
        wish = Wish(
            repository=self.repository or None,
            tolerance=self.tolerance,
            max_changed=self.max_changed,
            scratch=cache_folder() / "reproduce",
            connect=connect,
        )
        try:
            answer = reproduce(registry, self.model, str(self.version), launcher=self._launcher, wish=wish)
        except DigestMismatchError as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        if answer["answer"] in ("bitwise", "numeric"):
            return answer
        context["ti"].xcom_push(key="return_value", value=answer)
        raise AirflowFailException(f"version {answer['version']}: {answer['answer']}: {answer['reason']}")

    def on_kill(self) -> None:
        """End the trainer and all that it started, within Airflow's five seconds."""
        if self._launcher is not None:
            self._launcher.kill()

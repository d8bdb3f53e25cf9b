"""Keep the prediction log in few files, for Dags of your own."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.hooks.run_facts import setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class CompactLogOperator(BaseOperator):
    """Merge the small files of finished hours of a prediction log into one for each hour.

    Run it each hour or so, one at a time (`max_active_runs=1`); killed or retried, it goes on where it was.
    XCom: how many files were `merged`, `written` and `removed`, the `rows`, and paths that are `unreadable`.

    Args:
        root: Path or URI of the log (templated); None: `[ifp] predictions`.
        model: Only this registered model's (templated); None: all.
        older_than: How long ago an hour must have ended: `2h`.
        keep: How long merged files stay for those who read them; a later run deletes them.
    """

    template_fields: Sequence[str] = ("root", "model")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        root: str | None = None,
        model: str | None = None,
        older_than: str = "2h",
        keep: str = "1h",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.root = root
        self.model = model
        self.older_than = older_than
        self.keep = keep

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Compact; returns what was done.

        Raises:
            AirflowFailException: No root is named, or a duration is none.
            DatasetError: There is no log, or the store does not answer; Airflow's retries count.
        """
        from datetime import UTC, datetime

        from airflow_provider_ifp.adapters.log.compaction import compact_log
        from airflow_provider_ifp.core.errors import PolicyError
        from airflow_provider_ifp.core.policy.durations import parse_duration

        root = self.root or setting("predictions")
        if not root:
            raise AirflowFailException("no root: give `root`, or set predictions in section [ifp]")
        try:
            older_than, keep = parse_duration(self.older_than), parse_duration(self.keep)
        except PolicyError as error:
            raise AirflowFailException(f"older_than, keep: {error}") from error
        done = compact_log(
            root, now=datetime.now(UTC), model=self.model or None, older_than=older_than, keep=keep
        )
        for path in done.unreadable:
            self.log.warning("%s cannot be read and was left as it is; restore or remove it", path)
        return asdict(done)

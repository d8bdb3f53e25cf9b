"""Links from a task in Airflow's pages to what it left in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class ReportLink(BaseOperatorLink):
    """The report of a check or a verdict; it leads nowhere where MLflow has no server.

    Airflow asks for it as the task ends, in the task's own process: `operator.report` is what the task set.
    """

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address on MLflow's pages, or nothing."""
        del ti_key
        return getattr(operator, "report", None) or ""

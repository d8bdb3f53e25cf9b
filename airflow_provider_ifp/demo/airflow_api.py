"""Airflow's REST API, as far as a user of the loop's Dag needs it: unpause, trigger, watch, read results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from airflow_provider_ifp.core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.demo.stack import AirflowAddress

_TIMEOUT = 30
# Everything here can be asked again: on a busy machine SQLite is locked for longer than Airflow waits.
_AGAIN = Retry(
    total=3, backoff_factor=1, allowed_methods=None, status_forcelist=[500, 503], raise_on_status=False
)


class AirflowApi:
    """One user's session.

    Raises:
        ServiceError: Airflow refuses the login.
    """

    def __init__(self, address: AirflowAddress) -> None:
        self._root = f"{address.url}/api/v2"
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(max_retries=_AGAIN))
        answer = self._session.post(
            f"{address.url}/auth/token",
            json={"username": address.user, "password": address.password},
            timeout=_TIMEOUT,
        )
        token = _content(answer)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def knows(self, dag_id: str) -> bool:
        """Whether the Dag processor has read that Dag.

        Raises:
            ServiceError: a file of the Dags folder cannot be imported; the message is Airflow's.
        """
        answer = self._session.get(f"{self._root}/dags/{dag_id}", timeout=_TIMEOUT)
        if answer.ok:
            return True
        if errors := self.import_errors():
            raise ServiceError("\n".join(f"{file}: {text}" for file, text in errors.items()))
        return False

    def import_errors(self) -> dict[str, str]:
        """The file of each import error -> its text."""
        found = self._get("importErrors")["import_errors"]
        return {entry["filename"]: entry["stack_trace"] for entry in found}

    def unpause(self, dag_id: str) -> None:
        """Let a Dag's runs begin."""
        answer = self._session.patch(
            f"{self._root}/dags/{dag_id}", json={"is_paused": False}, timeout=_TIMEOUT
        )
        _content(answer)

    def trigger(self, dag_id: str, params: Mapping[str, Any]) -> str:
        """Start a run as the button "Trigger" does, with the form's values; returns the run's id."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        answer = self._session.post(
            f"{self._root}/dags/{dag_id}/dagRuns",
            json={"dag_run_id": run_id, "logical_date": None, "conf": dict(params)},
            timeout=_TIMEOUT,
        )
        # A run of this name is there: it was begun by a try whose answer was an error.
        if answer.status_code != requests.codes.conflict:
            _content(answer)
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        found = self._get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {entry["task_id"]: entry["state"] for entry in found}

    def result(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """What a task returned; None if nothing."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        answer = self._session.get(f"{self._root}/{path}", params={"deserialize": "true"}, timeout=_TIMEOUT)
        if answer.status_code == requests.codes.not_found:
            return None
        found: dict[str, Any] | None = _content(answer)["value"]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """A task's log, one event a line."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return "\n".join(map(_line, self._get(path)["content"]))

    def _get(self, path: str) -> dict[str, Any]:
        return _content(self._session.get(f"{self._root}/{path}", timeout=_TIMEOUT))


def _line(event: str | dict[str, Any]) -> str:
    """A log's event, with what was raised."""
    if isinstance(event, str):
        return event
    raised = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
    return ": ".join([str(event.get("event", "")), *raised])


def _content(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        raise ServiceError(
            f"Airflow answered {answer.request.method} {answer.url} with {answer.status_code}: {answer.text}"
        )
    content: dict[str, Any] = answer.json()
    return content

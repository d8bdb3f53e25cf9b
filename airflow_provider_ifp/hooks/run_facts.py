"""What a task's context says: the time of the run, who asks, and under which name a retry finds its work."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.adapters.policy.files import load_policy
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.policy.support import unsupported
from airflow_provider_ifp.core.registry.moves import Attempt

if TYPE_CHECKING:
    from airflow.sdk import Context


def run_time(context: Context, as_of: str | None) -> datetime:
    """The time of a run: `as_of`, else the end of its data interval, else its `run_after`; in UTC.

    Raises:
        AirflowFailException: `as_of` is no ISO time.
    """
    if as_of and as_of not in {"None", "null"}:
        try:
            named = datetime.fromisoformat(as_of)
        except ValueError as error:
            raise AirflowFailException(
                f"as_of: {as_of!r} is no ISO 8601 time; write it as 2013-07-01 or 2013-07-01T00:00:00+00:00"
            ) from error
        return named.replace(tzinfo=UTC) if named.tzinfo is None else named.astimezone(UTC)
    run = context["dag_run"]
    found = context.get("data_interval_end") or run.data_interval_end or run.run_after
    # A plain datetime: Airflow's are pendulum's, which forget this zone when a length of time is subtracted.
    return datetime.fromisoformat(found.isoformat()).astimezone(UTC)


def attempt(
    context: Context,
    *marks: str,
    by: Literal["loop", "person"] = "loop",
    reason: str = "",
    try_counts: bool = False,
) -> Attempt:
    """Who asks, and the nonce by which a retry of this task instance finds what it did before.

    Args:
        context: The task's.
        marks: What the nonce is about beside the task instance, such as the version moved.
        by: `loop`, or `person` where somebody pressed a button.
        reason: Why.
        try_counts: Each try is an attempt of its own.
    """
    ti, run = context["ti"], context["dag_run"]
    names = [ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), *marks]
    if try_counts:
        names.append(str(ti.try_number))
    task = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}"
    user = getattr(run, "triggering_user_name", None)
    actor = f"{user} (airflow:{task})" if by == "person" and user else f"airflow:{task}"
    return Attempt(
        actor=actor,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        nonce=digest_json(names),
        by=by,
        reason=reason,
    )


def airflow_facts(context: Context) -> dict[str, Any]:
    """Dag, run, task, try and logical date, for provenance."""
    ti, run = context["ti"], context["dag_run"]
    logical = getattr(run, "logical_date", None)
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "try_number": ti.try_number,
        "map_index": ti.map_index,
        "logical_date": logical.isoformat() if logical else None,
    }


def to_policy(policy: Policy | str | Path) -> Policy:
    """A policy as it is, or read from its file.

    Raises:
        PolicyError: it is wrong, or asks for what this release cannot do yet.
    """
    read = policy if isinstance(policy, Policy) else load_policy(Path(policy))
    if refused := unsupported(read):
        raise PolicyError("\n".join(f"{read.model}: {line}" for line in refused))
    return read


def setting(name: str) -> str | None:
    """A value of Airflow's config section `[ifp]`, or None."""
    value: str | None = conf.get("ifp", name, fallback=None)
    return value or None


def cache_folder() -> Path:
    """`[ifp] cache_folder`, else a folder of this user's under `~/.cache`."""
    named = setting("cache_folder")
    return Path(named) if named else Path.home() / ".cache" / f"ifp-{getpass.getuser()}"


def layers_folder() -> Path | None:
    """Where packages of other versions are kept; None: `[ifp] install_requirements` is off."""
    wanted = setting("install_requirements")
    return cache_folder() / "requirements" if wanted is None or truth(wanted) else None


def truth(value: Any) -> bool:
    """A templated boolean: Jinja writes `True` as text.

    >>> truth("True"), truth("false"), truth(None), truth(True)
    (True, False, False, True)
    """
    return str(value).strip().lower() in {"true", "1", "yes"}

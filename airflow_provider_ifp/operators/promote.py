"""Move the registry's pointer: promotion, and rollback, which is one more move of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_ifp.core.errors import (
    DigestMismatchError,
    PredictionLogError,
    PromotionRefusedError,
    VersionNotFoundError,
)
from airflow_provider_ifp.core.registry.lifecycle import STAGES
from airflow_provider_ifp.core.registry.moves import UNCHECKED
from airflow_provider_ifp.hooks.assets import announce, announced
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import attempt, cache_folder, run_time, setting, to_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.core.policy.model import Policy

_REFUSED = (PromotionRefusedError, VersionNotFoundError, DigestMismatchError)

log = logging.getLogger(__name__)


class PromoteOperator(BaseOperator):
    """Move a version to a stage, by the verdict that it got, or by a person's word.

    With a verdict: refuses one that does not pass, or that was made against another production than there is
    now. Without one the move is a person's, and needs a reason. XCom: model, version, stage, replaced, event.
    A move to production is an event of the asset `ifp://<model>/production`. Once it is made, and the policy
    is known, the prediction log's windows are counted on the new version's bins, for the next check.

    Args:
        model: The registered model.
        version: The version to move (templated).
        to: `staging`, `shadow` or `production` (templated).
        verdict: The gate's verdict, the XCom of ValidationGateOperator (templated); None: a person's move.
        reason: Why (templated); a person must say.
        override: Who takes on a failed gate, for a person's move (templated).
        stop_at: Skip this move if `to` lies beyond that stage (templated); empty: do not.
        policy: The model's policy, or the path of its file; None: nothing is counted.
        as_of: The time of the run, where the windows end (templated), as for DriftSensor.
        registry_conn_id: Airflow connection of the registry.
    """

    template_fields: Sequence[str] = ("version", "to", "verdict", "reason", "override", "stop_at", "as_of")
    ui_color = "#d2e3fc"

    def __init__(
        self,
        *,
        model: str,
        version: Any,
        to: str,
        verdict: Any = None,
        reason: str = "",
        override: str | None = None,
        stop_at: str | None = None,
        policy: Policy | str | Path | None = None,
        as_of: str | None = None,
        registry_conn_id: str = "ifp_default",
        **kwargs: Any,
    ) -> None:
        self._production = announced(model, "production")
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or ()), self._production]})
        self.model = model
        self.version = version
        self.to = to
        self.verdict = verdict
        self.reason = reason
        self.override = override
        self.stop_at = stop_at
        self._policy = None if policy is None else to_policy(policy)
        self.as_of = as_of
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the stage.

        Raises:
            AirflowFailException: the lifecycle's rules do not allow it.
            AirflowSkipException: `stop_at` ends the path before this stage.
        """
        from airflow_provider_ifp.loop.registry.move import promote, require_promotable

        if self.to not in STAGES:
            raise AirflowFailException(f"to: {self.to!r} is no stage; expected one of {', '.join(STAGES)}")
        if self.stop_at in STAGES and STAGES.index(self.to) > STAGES.index(self.stop_at):
            self.log.info("this run stops at %s", self.stop_at)
            raise AirflowSkipException(f"this run stops at {self.stop_at}")
        version = str(self.version)
        by: Literal["loop", "person"] = "person" if self.verdict is None else "loop"
        reason = self.reason if self.verdict is None else self.verdict["reason"]
        try:
            if self.verdict is not None:
                require_promotable(self.verdict, version)
            moved = promote(
                ModelRegistryHook(self.registry_conn_id).get_conn(),
                self.model,
                version,
                self.to,
                attempt=attempt(context, version, self.to, by=by, reason=reason),
                expected=UNCHECKED if self.verdict is None else self.verdict["compared_to"],
                override=self.override or None,
            )
        except _REFUSED as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        self.log.info(
            "%s version %s is in %s; it replaced %s", self.model, version, self.to, moved["replaced"]
        )
        if self.to == "production":
            announce(context, self._production, **moved)
            _count_ahead(context, self._policy, self.registry_conn_id, self.as_of)
        return moved


class RollbackOperator(BaseOperator):
    """Put an earlier production version back: the last good one, or a named one, in one event.

    The old version's files are verified before the pointer moves. XCom: model, version, stage, replaced,
    event. Afterwards the log is counted as by PromoteOperator.

    Args:
        model: The registered model.
        to_version: The version to put back (templated); empty: the last good production version.
        reason: Why (templated).
        policy: As for PromoteOperator.
        registry_conn_id: Airflow connection of the registry.
    """

    template_fields: Sequence[str] = ("to_version", "reason")
    ui_color = "#fce8e6"

    def __init__(
        self,
        *,
        model: str,
        to_version: Any = None,
        reason: str = "",
        policy: Policy | str | Path | None = None,
        registry_conn_id: str = "ifp_default",
        **kwargs: Any,
    ) -> None:
        self._production = announced(model, "production")
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or ()), self._production]})
        self.model = model
        self.to_version = to_version
        self.reason = reason
        self._policy = None if policy is None else to_policy(policy)
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back.

        Raises:
            AirflowFailException: there is nothing to go back to, or the old files are not whole.
        """
        from airflow_provider_ifp.loop.registry.move import roll_back

        named = str(self.to_version).strip() if self.to_version not in (None, "None") else ""
        try:
            moved = roll_back(
                ModelRegistryHook(self.registry_conn_id).get_conn(),
                self.model,
                attempt=attempt(context, named, by="person", reason=self.reason),
                to_version=named or None,
            )
        except _REFUSED as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        self.log.info(
            "%s version %s is in production again; it replaced %s",
            self.model,
            moved["version"],
            moved["replaced"],
        )
        announce(context, self._production, **moved)
        _count_ahead(context, self._policy, self.registry_conn_id)
        return moved


def _count_ahead(
    context: Context, policy: Policy | None, registry_conn_id: str, as_of: str | None = None
) -> None:
    """Count the log for the next check; the move was made, and stands whatever becomes of this."""
    if policy is None or not policy.drift_conditions:
        return
    from airflow_provider_ifp.loop.drift.check import count_ahead

    try:
        count_ahead(
            ModelRegistryHook(registry_conn_id).get_conn(),
            policy,
            now=run_time(context, as_of),
            predictions=setting("predictions"),
            cache=cache_folder() / "counts",
        )
    except PredictionLogError as error:  # mostly of a first version, which nobody has asked yet
        log.info("nothing is counted ahead of the next check: %s", error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next check meets it and says so
        log.warning("the log was not counted ahead of the next check: %s: %s", type(error).__name__, error)
    else:
        log.info("the log is counted on the bins of %s's production, ahead of the next check", policy.model)

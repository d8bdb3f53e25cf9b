"""Move the registry's pointer: promotion, and rollback, which is one more move of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_ifp.core.errors import DigestMismatchError, PromotionRefusedError, VersionNotFoundError
from airflow_provider_ifp.core.lifecycle import STAGES
from airflow_provider_ifp.core.moves import UNCHECKED
from airflow_provider_ifp.hooks.assets import announce, announced
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

_REFUSED = (PromotionRefusedError, VersionNotFoundError, DigestMismatchError)


class PromoteOperator(BaseOperator):
    """Move a version to a stage, by the verdict that it got, or by a person's word.

    With a verdict: refuses one that does not pass, or that was made against another production than there is
    now. Without one the move is a person's, and needs a reason. XCom: model, version, stage, replaced, event.
    A move to production is an event of the asset `ifp://<model>/production`.

    Args:
        model: The registered model.
        version: The version to move (templated).
        to: `staging`, `shadow` or `production` (templated).
        verdict: The gate's verdict, the XCom of ValidationGateOperator (templated); None: a person's move.
        reason: Why (templated); a person must say.
        override: Who takes on a failed gate, for a person's move (templated).
        stop_at: Skip this move if `to` lies beyond that stage (templated); empty: do not.
        registry_conn_id: Airflow connection of the registry.
    """

    template_fields: Sequence[str] = ("version", "to", "verdict", "reason", "override", "stop_at")
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
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the stage.

        Raises:
            AirflowFailException: the lifecycle's rules do not allow it.
            AirflowSkipException: `stop_at` ends the path before this stage.
        """
        from airflow_provider_ifp.loop.move import promote, require_promotable

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
        return moved


class RollbackOperator(BaseOperator):
    """Put an earlier production version back: the last good one, or a named one, in one event.

    The old version's files are verified before the pointer moves. XCom: model, version, stage, replaced,
    event.

    Args:
        model: The registered model.
        to_version: The version to put back (templated); empty: the last good production version.
        reason: Why (templated).
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
        registry_conn_id: str = "ifp_default",
        **kwargs: Any,
    ) -> None:
        self._production = announced(model, "production")
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or ()), self._production]})
        self.model = model
        self.to_version = to_version
        self.reason = reason
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back.

        Raises:
            AirflowFailException: there is nothing to go back to, or the old files are not whole.
        """
        from airflow_provider_ifp.loop.move import roll_back

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
        return moved

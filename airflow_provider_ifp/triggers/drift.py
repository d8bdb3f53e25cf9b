"""The drift check in the triggerer: waiting for it holds no worker slot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ifp.core.errors import IfpError, RegistryError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.hooks.databases import label_database
from airflow_provider_ifp.hooks.registry import ModelRegistryHook, RegistryAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_ifp.adapters.sql.connections import Connect


class DriftTrigger(BaseTrigger):
    """Check a model for drift, once, or again and again until it fires.

    Args:
        policy: The policy's canonical form (`Policy.to_json()`).
        folder: The folder of its file, for relative paths; None: it came from no file.
        now: The time of the run, ISO 8601 in UTC.
        predictions: Root of the prediction log where the policy names none.
        registry_conn_id: Airflow connection of the registry.
        force: Fire without a check.
        reason: Why, when forced.
        wait: Check again every `poke_interval` until it fires; each check's time is `now` plus the time
            waited.
        poke_interval: Seconds between checks.
    """

    def __init__(
        self,
        *,
        policy: dict[str, Any],
        folder: str | None,
        now: str,
        predictions: str | None,
        registry_conn_id: str,
        force: bool,
        reason: str,
        wait: bool,
        poke_interval: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's, without annotations
        self.policy = policy
        self.folder = folder
        self.now = now
        self.predictions = predictions
        self.registry_conn_id = registry_conn_id
        self.force = force
        self.reason = reason
        self.wait = wait
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments that make this trigger again."""
        names = (
            "policy", "folder", "now", "predictions", "registry_conn_id", "force", "reason", "wait",
            "poke_interval",
        )  # fmt: skip
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            name: getattr(self, name) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the check's result, or the error that kept it from being decided."""
        started = datetime.now(UTC)
        while True:
            waited = datetime.now(UTC) - started if self.wait else timedelta(0)
            try:
                policy = Policy.from_json(self.policy, folder=self.folder)
                address = await ModelRegistryHook(self.registry_conn_id).aget_address()
                connect = await label_database(policy)
                # Reading Parquet and asking MLflow block; the triggerer's loop must go on meanwhile.
                result = await anyio.to_thread.run_sync(self._check, policy, address, connect, waited)
            except IfpError as error:
                transient = isinstance(error, RegistryError)
                yield TriggerEvent({"error": f"{type(error).__name__}: {error}", "transient": transient})  # type: ignore[no-untyped-call]  # Airflow's, without annotations
                return
            if result["fired"] or not self.wait:
                yield TriggerEvent({"result": result})  # type: ignore[no-untyped-call]  # Airflow's, without annotations
                return
            self.log.info(
                "not fired: %s; looking again in %s s", "; ".join(result["reasons"]), self.poke_interval
            )
            await asyncio.sleep(self.poke_interval)

    def _check(
        self, policy: Policy, address: RegistryAddress, connect: Connect | None, waited: timedelta
    ) -> dict[str, Any]:
        from airflow_provider_ifp.hooks.run_facts import cache_folder
        from airflow_provider_ifp.loop.drift.check import check

        return check(
            address.open(),
            policy,
            now=datetime.fromisoformat(self.now) + waited,
            predictions=self.predictions,
            force=self.force,
            reason=self.reason,
            cache=cache_folder() / "counts",
            connect=connect,
        ).to_json()

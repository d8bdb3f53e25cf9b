"""Waiting for mirrored traffic in the triggerer: it holds no worker slot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ifp.core.errors import (
    DatasetUnreachableError,
    IfpError,
    RegistryError,
    RegistryUnreachableError,
)
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.hooks.registry import ModelRegistryHook, RegistryAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_ifp.loop.shadow.mirrored import Traffic


class ShadowTrigger(BaseTrigger):
    """Wait until enough requests were mirrored to a candidate, or until patience ends.

    A registry that does not answer for a while is no reason to give up a wait of days.

    Args:
        policy: The policy's canonical form (`Policy.to_json()`).
        folder: The folder of its file, for relative paths; None: it came from no file.
        version: The candidate.
        now: The time of the run, ISO 8601 in UTC.
        predictions: Root of the prediction log where the policy names none.
        registry_conn_id: Airflow connection of the registry.
        poke_interval: Seconds between looks at the log.
        until: When the gate decides by what there is, ISO 8601.
    """

    def __init__(
        self,
        *,
        policy: dict[str, Any],
        folder: str | None,
        version: str,
        now: str,
        predictions: str | None,
        registry_conn_id: str,
        poke_interval: float,
        until: str,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's, without annotations
        self.policy = policy
        self.folder = folder
        self.version = version
        self.now = now
        self.predictions = predictions
        self.registry_conn_id = registry_conn_id
        self.poke_interval = poke_interval
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments that make this trigger again."""
        names = (
            "policy", "folder", "version", "now", "predictions", "registry_conn_id", "poke_interval",
            "until",
        )  # fmt: skip
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            name: getattr(self, name) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: how much was mirrored, or the error that kept it from being counted."""
        until = datetime.fromisoformat(self.until)
        while True:
            try:
                address = await ModelRegistryHook(self.registry_conn_id).aget_address()
                # Reading Parquet and asking MLflow block; the triggerer's loop must go on meanwhile.
                traffic, enough = await anyio.to_thread.run_sync(self._look, address)
            except IfpError as error:
                is_away = isinstance(error, RegistryUnreachableError | DatasetUnreachableError)
                if is_away and datetime.now(UTC) < until:
                    self.log.warning("looking again in %s s: %s", self.poke_interval, error)
                    await asyncio.sleep(self.poke_interval)
                    continue
                transient = isinstance(error, RegistryError)
                yield TriggerEvent({"error": f"{type(error).__name__}: {error}", "transient": transient})  # type: ignore[no-untyped-call]  # Airflow's, without annotations
                return
            if enough or datetime.now(UTC) >= until:
                seconds = traffic.duration.total_seconds()
                yield TriggerEvent({"pairs": traffic.pairs, "duration": seconds})  # type: ignore[no-untyped-call]  # Airflow's, without annotations
                return
            self.log.info(
                "%s pairs in %s; looking again in %s s", traffic.pairs, traffic.duration, self.poke_interval
            )
            await asyncio.sleep(self.poke_interval)

    def _look(self, address: RegistryAddress) -> tuple[Traffic, bool]:
        from airflow_provider_ifp.loop.shadow.gate import look_at_traffic

        return look_at_traffic(
            address.open(),
            Policy.from_json(self.policy, folder=self.folder),
            self.version,
            now=datetime.fromisoformat(self.now),
            predictions=self.predictions,
        )

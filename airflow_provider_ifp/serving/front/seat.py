"""A seat: the version that answers at one stage, and how another one takes its place.

A version that the follower found is opened and warmed up in a process of its own while the one before
answers. Only then does it take its place. One that cannot be opened is refused, told, and tried again later;
the one before stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.errors import DigestMismatchError, ModelError
from airflow_provider_ifp.serving.front.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.serving.front.lane import Lane
    from airflow_provider_ifp.serving.front.workers import Spare
    from airflow_provider_ifp.serving.messages import Found

log = logging.getLogger(__name__)

_FIRST_RETRY, _LAST_RETRY = 2.0, 300.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version does not answer, how often that was found, and when it is tried again (monotonic)."""

    reason: str
    times: int
    until: float


class Seat:
    """The version that answers at one stage.

    Args:
        model: The registered model.
        stage: `production` or `shadow`.
        lane: The requests for it.
        spare: Where its processes come from.
        logs: Whether answers come back as rows of the log.
        yields: Whether its processes leave the CPU to others that want it.
        settled: Called when a version has taken the seat.
        last_good: Gives the version that answered here before this server started, if it is still at hand.
        damaged: Called when a version's files were changed since they were fetched.
    """

    def __init__(
        self,
        model: str,
        stage: str,
        lane: Lane,
        spare: Spare,
        *,
        logs: bool,
        yields: bool,
        settled: Callable[[str, Found], None],
        last_good: Callable[[str], Found | None],
        damaged: Callable[[Found], None],
    ) -> None:
        self.stage = stage
        self.lane = lane
        self.serving: Found | None = None
        self.refused: dict[str, Refusal] = {}
        self.swaps = self.restarts = 0
        self._model = model
        self._spare = spare
        self._logs = logs
        self._yields = yields
        self._settled = settled
        self._last_good = last_good
        self._damaged = damaged
        self._wanted: Found | None = None
        self._changed = asyncio.Event()

    @property
    def worker(self) -> Worker | None:
        """What answers now."""
        return self.lane.worker

    @property
    def wanted_version(self) -> str | None:
        """The version that stands at the stage."""
        return self._wanted.version if self._wanted else None

    def want(self, found: Found | None) -> None:
        """The version that stands at the stage now; None: none does."""
        self._wanted = found
        self.refused.clear()
        if found is None:
            self.serving = None
            self.lane.put(None)
            self.lane.drop_all("no version stands at this stage")
        self._changed.set()

    def refuse(self, version: str, reason: str) -> None:
        """Remember that a version does not answer, and why."""
        times = self.refused[version].times + 1 if version in self.refused else 1
        wait = min(_FIRST_RETRY * 4 ** (times - 1), _LAST_RETRY)
        self.refused[version] = Refusal(reason, times, time.monotonic() + wait)
        stays = f"version {self.serving.version} stays" if self.serving else "no version answers"
        log.error("%s version %s is refused at %s, %s: %s", self._model, version, self.stage, stays, reason)
        self._changed.set()

    def close(self) -> None:
        """End what answers."""
        self._wanted = self.serving = None
        self.lane.put(None)

    async def keep(self) -> None:
        """Put the right version in the seat, again and again; runs until it is cancelled."""
        while True:
            self._changed.clear()
            target = self._target()
            if target is not None and (self.worker is None or self.worker.found != target):
                await self._open(target)
                continue
            now = time.monotonic()
            delays = [refusal.until - now for refusal in self.refused.values() if refusal.until > now]
            try:
                async with asyncio.timeout(min(delays, default=None)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _target(self) -> Found | None:
        """What is to answer: the version wanted, else the one that answers, else the one that once did."""
        if self._wanted is None:
            return None
        last = None if self.serving or not self.refused else self._last_good(self.stage)
        for found in (self._wanted, self.serving, last):
            if found is not None and not self._is_refused(found.version):
                return found
        return None

    def _is_refused(self, version: str) -> bool:
        refusal = self.refused.get(version)
        return refusal is not None and refusal.until > time.monotonic()

    async def _open(self, target: Found) -> None:
        worker = Worker(target, self.lane.on_answered, self._on_lost)
        try:
            await worker.open(self._spare, self._model, logs=self._logs, yields=self._yields)
        except (DigestMismatchError, ModelError, OSError) as error:
            if isinstance(error, DigestMismatchError):
                self._damaged(target)
            self.refuse(target.version, str(error))
            return
        if self._wanted is None or worker.opened is None:  # it was taken away meanwhile
            worker.close()
            return
        if worker.opened.unsure:
            log.warning("%s version %s: %s", self._model, target.version, worker.opened.unsure)
        self.refused.pop(target.version, None)
        if self.serving is not None:
            self.swaps += self.serving.version != target.version
        self.serving = target
        self.lane.put(worker)
        log.info(
            "%s version %s answers at %s (opened in %.1f s)",
            self._model, target.version, self.stage, worker.opened.seconds,
        )  # fmt: skip
        self._settled(self.stage, target)

    def _on_lost(self, worker: Worker) -> None:
        if worker is self.worker:
            self.restarts += 1
            log.warning(
                "the process of %s version %s is gone; another is started", self._model, worker.found.version
            )
        self.lane.on_lost(worker)
        self._changed.set()

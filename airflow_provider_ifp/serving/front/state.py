"""What the front knows, and what it does with what the other processes tell it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.serving.front.lane import Call, Lane
from airflow_provider_ifp.serving.front.metrics import Metrics
from airflow_provider_ifp.serving.front.seat import Seat
from airflow_provider_ifp.serving.messages import Cleared, Found, NotFetched, RegistrySeen, UnknownModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.serving.cache import VersionCache
    from airflow_provider_ifp.serving.front.log_link import LogLink
    from airflow_provider_ifp.serving.front.options import ServeOptions
    from airflow_provider_ifp.serving.front.workers import Spare
    from airflow_provider_ifp.serving.messages import Answered

log = logging.getLogger(__name__)

PRODUCTION, SHADOW = "production", "shadow"
_OK = 200
_MIRROR_SECONDS = 0.02
"""Mirrored requests gather so long: nobody waits for them, and a few large batches cost less than many."""


class State:
    """The seats, and what happens between them.

    Args:
        options: What was asked for.
        spare: Where workers come from.
        cache: The fetched versions.
        link: To the log's process; None: nothing is logged.
        fail: Called with the reason when there is nothing to serve, ever.
    """

    def __init__(
        self,
        options: ServeOptions,
        spare: Spare,
        cache: VersionCache,
        link: LogLink | None,
        fail: Callable[[str], None],
    ) -> None:
        self.options = options
        self.log = link
        self.registry_trouble = "not asked yet"
        self.registry_seen = 0.0
        self.mirrored = self.mirror_dropped = 0
        self._fail = fail

        def seat(stage: str, answered: Callable[[Answered, list[Call], list[int]], None]) -> Seat:
            shadows = stage == SHADOW
            delay = _MIRROR_SECONDS if shadows else 0.0
            lane = Lane(options.queue, options.timeout_seconds, answered, delay=delay)
            return Seat(
                *(options.model, stage, lane, spare),
                logs=link is not None,
                yields=shadows,
                settled=lambda stage, found: cache.mark_good(stage, found.version),
                last_good=cache.last_good,
                damaged=lambda found: cache.discard(found.version),
            )

        self.production = seat(PRODUCTION, self._on_answered)
        self.shadow = seat(SHADOW, self._on_mirrored) if options.mirror else None
        self._shadow_found: Found | None = None
        self.metrics = Metrics()

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Production's, and the shadow's where requests are mirrored."""
        return (self.production,) if self.shadow is None else (self.production, self.shadow)

    def on_follower(self, message: Any) -> None:
        """The follower saw something."""
        if isinstance(message, RegistrySeen):
            self._on_registry(message.reason)
        elif isinstance(message, UnknownModel):
            if self.production.serving is None:
                self._fail(message.reason)
        elif isinstance(message, Found | NotFetched | Cleared):
            self._on_stage(message)

    def sweep(self) -> None:
        """Look after requests that take too long; called now and then."""
        for seat in self.seats:
            seat.lane.sweep()

    def _on_registry(self, trouble: str) -> None:
        if trouble and trouble != self.registry_trouble:
            serving = self.production.serving
            stays = f"version {serving.version} goes on" if serving else "no version answers yet"
            log.warning("the registry cannot be asked, %s: %s", stays, trouble)
        elif not trouble:
            if self.registry_seen and self.registry_trouble:
                log.info("the registry answers again")
            self.registry_seen = time.monotonic()
        self.registry_trouble = trouble

    def _on_stage(self, message: Found | NotFetched | Cleared) -> None:
        if message.stage == SHADOW:
            if self.shadow is not None:
                self._on_shadow(message)
        elif isinstance(message, Found):
            self.production.want(message)
            if self._shadow_found is not None:
                self._on_shadow(self._shadow_found)  # it may be what production is now, or be so no more
        elif isinstance(message, NotFetched):
            self.production.refuse(message.version, message.reason)
        else:
            log.warning("no version of %s stands in production", self.options.model)

    def _on_shadow(self, message: Found | NotFetched | Cleared) -> None:
        if self.shadow is None:
            return
        self._shadow_found = message if isinstance(message, Found) else None
        if isinstance(message, NotFetched):
            self.shadow.refuse(message.version, message.reason)
        elif isinstance(message, Found) and message.version != self.production.wanted_version:
            self.shadow.want(message)
        else:
            self.shadow.want(None)

    def _on_answered(self, answered: Answered, calls: list[Call], took: list[int]) -> None:
        self.metrics.count_batch(answered.rows, answered.compute_us)
        self._log(PRODUCTION, answered, took)
        shadow = self.shadow
        if shadow is None or shadow.serving is None:
            return
        now = time.monotonic()
        for call, reply in zip(calls, answered.replies, strict=True):
            if reply.status != _OK:
                continue
            if shadow.lane.submit(Call(call.request, now, None)):
                self.mirrored += 1
            else:
                self.mirror_dropped += 1

    def _on_mirrored(self, answered: Answered, _calls: list[Call], took: list[int]) -> None:
        self._log(SHADOW, answered, took)

    def _log(self, stage: str, answered: Answered, took: list[int]) -> None:
        if self.log is None or not answered.rows:
            return
        if answered.log:
            self.log.offer(stage, answered.log, answered.rows, took)
        else:
            self.log.drop(stage, answered.rows)

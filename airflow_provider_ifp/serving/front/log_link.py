"""The front's side of the log's process: hands rows on, and drops and counts what that one does not take."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from airflow_provider_ifp.serving.front.channel import Channel, start_process
from airflow_provider_ifp.serving.messages import LogRows, Refused

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_ifp.serving.messages import LogCounters

log = logging.getLogger(__name__)

COUNTED = ("seen", "logged", "dropped")
_BACKLOG_BYTES = 32 << 20
_FLUSH_SECONDS = 20.0
_RESTART_SECONDS = 1.0


class LogLink:
    """Where answered rows go.

    Args:
        root: Of the prediction log.
        model: The registered model.
        spool: Folder for what is not in Parquet yet.
        stages: Those that are logged.
        roll_seconds: How long rows stay in a spool; readers see them after that.
        fail: Called with the reason when there can be no such log.
    """

    def __init__(
        self,
        root: str,
        model: str,
        spool: Path,
        stages: tuple[str, ...],
        *,
        roll_seconds: float,
        fail: Callable[[str], None],
    ) -> None:
        self._settings = {
            "root": root,
            "model": model,
            "spool": str(spool),
            "stages": stages,
            "roll_seconds": roll_seconds,
        }
        self._fail = fail
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._counted: dict[str, dict[str, int]] = {}
        self._before: dict[str, dict[str, int]] = {}
        self._dropped: dict[str, int] = dict.fromkeys(stages, 0)
        self._held: list[LogRows] = []
        self._held_bytes = 0
        self._gone = asyncio.Event()
        self._closing = False
        self._starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process."""
        self._process, end = start_process("log.process", json.dumps(self._settings))
        self._gone.clear()
        self._channel = await Channel.open(end, self._receive, self._on_lost)
        for message in self._held:
            self._channel.send(message)
        self._held, self._held_bytes = [], 0

    def offer(self, stage: str, rows: bytes, count: int, e2e_us: list[int]) -> None:
        """Hand rows on, or hold them until there is a process again; never waits."""
        backlog = self._held_bytes if self._channel is None else self._channel.backlog
        if backlog > _BACKLOG_BYTES:
            self.drop(stage, count)
        elif self._channel is None:
            self._held.append(LogRows(stage, rows, e2e_us))
            self._held_bytes += len(rows)
        else:
            self._channel.send(LogRows(stage, rows, e2e_us))

    def drop(self, stage: str, count: int) -> None:
        """Count rows that were answered, and cannot stand in the log."""
        self._dropped[stage] += count

    def counters(self) -> dict[str, dict[str, int]]:
        """Rows by stage: `seen`, `logged`, `dropped`; up to half a second old."""
        total = self._of_processes()
        for stage, ours in self._dropped.items():
            total[stage]["seen"] += ours
            total[stage]["dropped"] += ours
        return total

    async def close(self) -> None:
        """Let it write what it has, and end."""
        self._closing = True
        if self._channel is None and self._held:  # the process before is gone, and the next not there yet
            await self.start()
        if self._channel is None or self._process is None:
            return
        self._channel.end()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._gone.wait()
        except TimeoutError:
            log.warning("the prediction log was not flushed within %.0f s; its spool stays", _FLUSH_SECONDS)
            self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def _receive(self, message: LogCounters | Refused) -> None:
        if not isinstance(message, Refused):
            self._counted = message.stages
        elif self._before:  # one before it worked, and one after it may
            log.error("%s", message.reason)
        else:
            self._closing = True
            self._fail(message.reason)

    def _on_lost(self) -> None:
        self._channel = None
        self._gone.set()
        self._before = self._of_processes()
        self._counted = {}
        if not self._closing:
            log.error("the process of the prediction log is gone; another is started")
            asyncio.get_running_loop().call_later(_RESTART_SECONDS, self._restart)

    def _restart(self) -> None:
        if self._closing:
            return
        if self._process is not None:
            self._process.poll()
        self._starting = asyncio.create_task(self.start())

    def _of_processes(self) -> dict[str, dict[str, int]]:
        """What the log's processes counted, those that are gone too."""
        parts = self._before, self._counted
        return {
            stage: {name: sum(part.get(stage, {}).get(name, 0) for part in parts) for name in COUNTED}
            for stage in self._dropped
        }

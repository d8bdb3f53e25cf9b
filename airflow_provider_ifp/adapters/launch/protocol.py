"""What the loop needs of a launcher: a place where user code runs as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path


class Launcher(Protocol):
    """Where a trainer runs."""

    def run(
        self,
        spec: Path,
        *,
        seed: int,
        timeout: timedelta | None,
        on_line: Callable[[str], None],
        on_pause: Callable[[], None],
    ) -> int:
        """Run the trainer to its end; returns its exit code."""

    def kill(self) -> None:
        """End the trainer and all that it started."""

"""How far long work is, for whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress:
    """Told of what will be done and of what is; this one tells nobody."""

    def expect(self, total: Callable[[], int]) -> None:
        """Hear how much there will be; to find out takes time, so only one that shows it asks."""

    def advance(self, done: int) -> None:
        """Hear how much more is done."""


UNSEEN: Final = Progress()

"""The front's end of a socket to another process, and the processes that it starts."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_ifp.serving.wire import Unpacker, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_ifp.serving.messages import Message


class Channel(asyncio.Protocol):
    """Sends and receives messages; calls `lost` once when the other side is gone.

    Args:
        receive: Takes each message.
        lost: Called when nothing will come any more.
    """

    def __init__(self, receive: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._unpacker = Unpacker()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(
        cls, end: socket.socket, receive: Callable[[Any], None], lost: Callable[[], None]
    ) -> Channel:
        """Take over our end of a socket pair."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(receive, lost), sock=end)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: the socket is ours."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's: bytes came."""
        for message in self._unpacker.feed(data):
            self._receive(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """asyncio's: the other side is gone, or we closed."""
        self._transport = None
        self._lost()

    @property
    def backlog(self) -> int:
        """Bytes that the other side has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def send(self, message: Message) -> None:
        """Send a message; to a process that is gone it is lost."""
        if self._transport is not None:
            self._transport.write(pack(message))

    def end(self) -> None:
        """Tell the other side that no more comes; what it still says is received."""
        if self._transport is not None:
            self._transport.write_eof()

    def close(self) -> None:
        """Close the socket; the other side ends."""
        if self._transport is not None:
            self._transport.close()


def start_process(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a module of ours with one end of a socket pair.

    Args:
        module: Run as `python -m MODULE FD ARGUMENTS`.
        arguments: What follows.
        environment: Its whole environment; None: ours.

    Returns:
        The process, and our end.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [
            sys.executable,
            "-m",
            f"airflow_provider_ifp.serving.{module}",
            str(theirs.fileno()),
            *arguments,
        ]
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=None if environment is None else dict(environment),
            start_new_session=True,  # so that Ctrl-C in a terminal reaches the front alone
        )
    ours.setblocking(False)
    return process, ours

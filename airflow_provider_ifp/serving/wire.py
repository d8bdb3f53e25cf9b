"""How messages travel between the server's processes: as msgpack, each after its length in four bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_ifp.serving.messages import Message

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Message)


def pack(message: Message) -> bytes:
    """A message with its length before it."""
    content = _ENCODER.encode(message)
    return _LENGTH.pack(len(content)) + content


class Unpacker:
    """Cuts a stream of bytes into messages.

    >>> from airflow_provider_ifp.serving.messages import Hello
    >>> unpacker = Unpacker()
    >>> sent = pack(Hello(7))
    >>> list(unpacker.feed(sent[:5])), list(unpacker.feed(sent[5:]))
    ([], [Hello(pid=7)])
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take what came, and give the messages that are whole now."""
        self._pending += data
        start = 0
        while len(self._pending) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending, start)
            end = start + _LENGTH.size + length
            if len(self._pending) < end:
                break
            content = bytes(self._pending[start + _LENGTH.size : end])
            start = end
            yield _DECODER.decode(content)
        del self._pending[:start]


def receive(connection: socket.socket) -> Iterator[Any]:
    """The messages that come on a blocking socket, until the other side closes it."""
    unpacker = Unpacker()
    while data := connection.recv(_CHUNK):
        yield from unpacker.feed(data)

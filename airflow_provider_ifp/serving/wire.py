"""What the server's processes say to each other: msgpack messages, each after its length in four bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18

SCORING, OPEN_INFERENCE = 0, 1
"""The protocols that a request may speak."""


class Open(msgspec.Struct, array_like=True, tag=True):
    """To a worker: open this version.

    Attributes:
        model: The registered model.
        version: Its number.
        folder: Its files, as fetched.
        files_digest: What they must be.
        profile: File of the reference window's profile, from which it is warmed up; "": there is none.
        log: Whether its answers are to come back as rows of the log, too.
        yields: Whether it is to leave the CPU to others that want it: nobody waits for its answers.
    """

    model: str
    version: str
    folder: str
    files_digest: str
    profile: str
    log: bool
    yields: bool = False


class Request(msgspec.Struct, array_like=True):
    """One request as it came, its body unread.

    Attributes:
        protocol: `SCORING` or `OPEN_INFERENCE`.
        body: Of the HTTP request.
        header_length: Where an open inference body's JSON ends and its binary tensors begin; -1: nowhere.
        id: The request's id.
        ts: Its time, microseconds since 1970.
    """

    protocol: int
    body: bytes
    header_length: int
    id: str
    ts: int


class Ask(msgspec.Struct, array_like=True, tag=True):
    """To a worker: answer these."""

    batch: int
    requests: list[Request]


class Hello(msgspec.Struct, array_like=True, tag=True):
    """From a worker that was just forked."""

    pid: int


class Tensor(msgspec.Struct, frozen=True):
    """One input or output of a model, as the open inference protocol describes it."""

    name: str
    datatype: str
    shape: list[int]


class Opened(msgspec.Struct, array_like=True, tag=True):
    """From a worker: it is warm, and answers.

    Attributes:
        inputs: The model's columns.
        outputs: What it answers.
        seconds: How long opening and warming up took.
        unsure: Why it could not be warmed up; "": it could.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    seconds: float
    unsure: str = ""


class Refused(msgspec.Struct, array_like=True, tag=True):
    """From a worker: this version cannot be opened. From the log's process: this log cannot be written.

    Attributes:
        reason: Why.
        damaged: Its files are not those that were registered.
    """

    reason: str
    damaged: bool = False


class Reply(msgspec.Struct, array_like=True):
    """The answer to one request.

    Attributes:
        status: HTTP's.
        body: Of the HTTP reply.
        header_length: As in `Request`.
    """

    status: int
    body: bytes
    header_length: int = -1


class Answered(msgspec.Struct, array_like=True, tag=True):
    """From a worker: the replies to a batch, in order.

    Attributes:
        batch: Which one.
        replies: One a request.
        log: Rows of the prediction log, as `log_rows.write_rows` has them. Empty where nothing is logged.
        compute_us: What the model's calls took.
        rows: Rows that the model answered.
    """

    batch: int
    replies: list[Reply]
    log: bytes
    compute_us: int
    rows: int


class LogRows(msgspec.Struct, array_like=True, tag=True):
    """To the log's process: rows that were answered.

    Attributes:
        stage: `production` or `shadow`.
        rows: As `Answered.log`.
        e2e_us: Microseconds from a request's arrival to its answer, one for each request of the batch.
    """

    stage: str
    rows: bytes
    e2e_us: list[int]


class LogCounters(msgspec.Struct, array_like=True, tag=True):
    """From the log's process: rows by stage, then by `seen`, `logged`, `dropped`."""

    stages: dict[str, dict[str, int]]


class Found(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """From the follower: this version stands at a stage, and its files are here.

    Attributes:
        stage: `production` or `shadow`.
        version: Its number.
        folder: Its files.
        files_digest: What they must be.
        profile: As in `Open`.
    """

    stage: str
    version: str
    folder: str
    files_digest: str
    profile: str


class NotFetched(msgspec.Struct, array_like=True, tag=True):
    """From the follower: this version stands at a stage, and its files are not what they must be."""

    stage: str
    version: str
    reason: str


class Cleared(msgspec.Struct, array_like=True, tag=True):
    """From the follower: no version stands at that stage."""

    stage: str


class RegistrySeen(msgspec.Struct, array_like=True, tag=True):
    """From the follower: the registry answered ("" as the reason), or it did not, and why."""

    reason: str


class UnknownModel(msgspec.Struct, array_like=True, tag=True):
    """From the follower: the registry has no such model; there is nothing to wait for."""

    reason: str


Message = (
    Open
    | Ask
    | Hello
    | Opened
    | Refused
    | Answered
    | LogRows
    | LogCounters
    | Found
    | NotFetched
    | Cleared
    | RegistrySeen
    | UnknownModel
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Message)


def pack(message: Message) -> bytes:
    """A message with its length before it."""
    content = _ENCODER.encode(message)
    return _LENGTH.pack(len(content)) + content


class Unpacker:
    """Cuts a stream of bytes into messages.

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

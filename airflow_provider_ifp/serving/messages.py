"""What the server's processes say to each other; `wire` says how it travels."""

from __future__ import annotations

import msgspec

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

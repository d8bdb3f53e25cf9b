"""What a server was asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

_HOME = "XDG_CACHE_HOME"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `ifp serve` was asked for.

    Attributes:
        model: The registered model.
        host: Where to listen.
        port: Likewise; 0: a free one.
        log: Root of the prediction log, or None.
        tracking_uri: MLflow's; None: `MLFLOW_TRACKING_URI`, else MLflow's own default.
        cache: Folder for fetched versions, from which a restart works while the registry is away.
        token: What callers must send as `Authorization: Bearer`, or None.
        mirror: Whether the version at @shadow gets a copy of each request.
        trust_request_time: Whether the header `x-request-time` becomes the log's `ts`.
        poll_seconds: How often the registry is asked, give or take a fifth.
        max_bytes: The largest body of a request.
        queue: Requests that may wait for the model; one more is answered 503.
        threads: Threads of a version's process for one call of the model.
        roll_seconds: How long logged rows lie in the spool before they become Parquet.
        timeout_seconds: How long a request may take, from its arrival.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8080
    log: str | None = None
    tracking_uri: str | None = None
    cache: Path
    token: str | None = field(default=None, repr=False)
    mirror: bool = False
    trust_request_time: bool = False
    poll_seconds: float = 5.0
    max_bytes: int = 16 << 20
    queue: int = 1024
    threads: int = 1
    roll_seconds: float = 60.0
    timeout_seconds: float = 30.0


def default_cache() -> Path:
    """Where fetched versions are kept unless the caller says otherwise."""
    home = os.environ.get(_HOME)
    return (Path(home) if home else Path.home() / ".cache") / "ifp" / "serve"

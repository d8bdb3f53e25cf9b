"""`ifp serve`: answer with the version in production, and follow it."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.options import add_registry
from airflow_provider_ifp.cli.output import DONE
from airflow_provider_ifp.core.errors import IfpError

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands

_TOKEN = "IFP_SERVE_TOKEN"  # noqa: S105 - the variable's name

_MODEL = re.compile(r"[A-Za-z0-9_-]+")
_LAST_PORT = 65_535


def add_commands(commands: Commands) -> None:
    """Add `serve`."""
    parser = commands.add_parser("serve", help="answer with the version in production, and follow it")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (127.0.0.1); 0.0.0.0: everywhere"
    )
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="8080; 0: a free one")
    parser.add_argument(
        "--log", metavar="ROOT", help="root of the prediction log; without it nothing is logged"
    )
    parser.add_argument("--mirror", action="store_true", help="copy each request to the version at @shadow")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="take --log and --mirror from the model's policy"
    )
    parser.add_argument(
        "--trust-request-time", action="store_true", help="the header x-request-time becomes the log's ts"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"callers must send it; else {_TOKEN}"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="fetched versions (~/.cache/ifp/serve)")
    parser.add_argument(
        "--poll", type=float, default=5.0, metavar="SECONDS", help="how often the registry is asked (5)"
    )
    parser.add_argument(
        "--roll",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how often the log's files are written (60)",
    )
    parser.add_argument("--max-bytes", type=int, default=16 << 20, metavar="N", help="largest body (16 MiB)")
    parser.add_argument("--queue", type=int, default=1024, metavar="N", help="requests that may wait (1024)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="for one call of the model (1)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for one request (30)")
    add_registry(parser)
    parser.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    try:
        from airflow_provider_ifp.serving.front.options import ServeOptions, default_cache
        from airflow_provider_ifp.serving.front.server import serve
    except ImportError as error:
        raise IfpError(
            f"{error}; the server needs more packages: pip install 'airflow-provider-ifp[serving]'"
        ) from error
    log, mirror = _from_policy(options)
    _require_sense(options)
    token = _token(options.token_file)
    _tell_all()
    if mirror and log is None:
        logging.getLogger(__name__).warning("--mirror without --log: what the shadow answers is lost")
    serve(
        ServeOptions(
            model=options.model,
            host=options.host,
            port=options.port,
            log=log,
            tracking_uri=options.tracking_uri,
            cache=options.cache or default_cache(),
            token=token,
            mirror=mirror,
            trust_request_time=options.trust_request_time,
            poll_seconds=options.poll,
            max_bytes=options.max_bytes,
            queue=options.queue,
            threads=options.threads,
            roll_seconds=options.roll,
            timeout_seconds=options.timeout,
        )
    )
    return DONE


def _from_policy(options: argparse.Namespace) -> tuple[str | None, bool]:
    if options.policy is None:
        return options.log, options.mirror
    from airflow_provider_ifp.adapters.policy.files import load_policy

    policy = load_policy(options.policy)
    if policy.model != options.model:
        raise IfpError(f"--policy {options.policy}: it is of model {policy.model!r}, not {options.model!r}")
    log = options.log or (policy.monitor.predictions if policy.monitor else None)
    return log, options.mirror or policy.shadow.mode == "live"


def _require_sense(options: argparse.Namespace) -> None:
    if not _MODEL.fullmatch(options.model):
        raise IfpError(f"MODEL {options.model!r}: expected letters, digits, _ and - only")
    if not 0 <= options.port <= _LAST_PORT:
        raise IfpError(f"--port {options.port}: expected 0 (a free one) to {_LAST_PORT}")
    for name in ("poll", "roll", "max_bytes", "queue", "threads", "timeout"):
        if getattr(options, name) <= 0:
            raise IfpError(f"--{name.replace('_', '-')} {getattr(options, name)}: expected more than 0")


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(_TOKEN) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise IfpError(f"--token-file {file} cannot be read: {error}") from None
    if not token:
        raise IfpError(f"--token-file {file} is empty; write the token into it")
    return token


def _tell_all() -> None:
    """What the server tells goes to standard error with the time: it runs for weeks."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s ifp: %(message)s"))
    ours = logging.getLogger("airflow_provider_ifp")
    ours.handlers[:] = [handler]
    ours.setLevel(logging.INFO)

"""`ifp promote` and `ifp rollback`: a person moves a stage's pointer."""

from __future__ import annotations

import getpass
import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.cli.options import add_json, add_registry, open_registry
from airflow_provider_ifp.cli.output import DONE, say, say_json
from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.core.registry.lifecycle import STAGES
from airflow_provider_ifp.core.registry.moves import UNCHECKED, Attempt, Unchecked

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Add `promote` and `rollback`."""
    promote = commands.add_parser("promote", help="move a version to a stage, with a reason")
    promote.add_argument("model", metavar="MODEL")
    promote.add_argument("version", metavar="VERSION", help="a number, or @staging, @shadow")
    promote.add_argument("--to", required=True, choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    promote.add_argument(
        "--expect",
        metavar="VERSION",
        help="refuse unless this version is in production now; none: unless none is",
    )
    promote.add_argument("--override", metavar="NAME", help="who takes on that its gate said no")
    promote.set_defaults(command=_promote)
    rollback = commands.add_parser("rollback", help="put an earlier production version back, with a reason")
    rollback.add_argument("model", metavar="MODEL")
    rollback.add_argument("--to", metavar="VERSION", help="else the last good production version")
    rollback.set_defaults(command=_rollback)
    for parser in (promote, rollback):
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why; the ledger keeps it")
        add_json(parser)
        add_registry(parser)


def _promote(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.registry.ledger import resolve
    from airflow_provider_ifp.loop.registry.move import promote

    attempt, registry = _attempt(options.reason), open_registry(options)
    moved = promote(
        registry,
        options.model,
        resolve(registry, options.model, options.version).version,
        options.to,
        attempt=attempt,
        expected=_expected(options.expect),
        override=options.override,
    )
    _say_moved(moved, as_json=options.json)
    return DONE


def _rollback(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.loop.registry.move import roll_back

    attempt, registry = _attempt(options.reason), open_registry(options)
    if options.to is not None:
        registry.version(options.model, options.to)  # one that never was is wrong input, no refusal
    _say_moved(
        roll_back(registry, options.model, attempt=attempt, to_version=options.to), as_json=options.json
    )
    return DONE


def _attempt(reason: str) -> Attempt:
    """A person's attempt, now.

    Raises:
        IfpError: the reason is empty.
    """
    if not reason.strip():
        raise IfpError("--reason is empty; say why: the ledger keeps it, and nobody can ask you later")
    return Attempt(
        actor=_login_name(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        nonce=uuid.uuid4().hex,
        by="person",
        reason=reason,
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        return f"uid {os.getuid()}"


def _expected(text: str | None) -> str | Unchecked | None:
    if text is None:
        return UNCHECKED
    return None if text.lower() == "none" else text


def _say_moved(moved: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(moved)
        return
    instead = "" if moved["replaced"] is None else f" in place of version {moved['replaced']}"
    say(
        f"{moved['model']} version {moved['version']} is now in {moved['stage']}{instead} "
        f"(ledger event {moved['event']})"
    )

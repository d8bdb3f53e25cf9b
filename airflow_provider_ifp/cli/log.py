"""`ifp log compact`: merge the small files of the prediction log."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.options import add_json
from airflow_provider_ifp.cli.output import DONE, say, say_json, tell
from airflow_provider_ifp.cli.progress import progress
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.durations import parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_ifp.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Add `log compact`."""
    parser = commands.add_parser("log", help="the prediction log's files")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    compact = actions.add_parser("compact", help="merge the small files of finished hours into one for each")
    compact.add_argument("root", metavar="ROOT", help="path or URI of the log")
    compact.add_argument("--model", metavar="MODEL", help="only this model's; else all")
    compact.add_argument(
        "--older-than",
        metavar="2h",
        type=_duration,
        default="2h",
        help="how long ago an hour must have ended (default 2h)",
    )
    compact.add_argument(
        "--keep",
        metavar="1h",
        type=_duration,
        default="1h",
        help="how long merged files stay for those who read them (default 1h); a later run deletes them",
    )
    add_json(compact)
    compact.set_defaults(command=_compact)


def _compact(options: argparse.Namespace) -> int:
    from dataclasses import asdict
    from datetime import UTC, datetime

    from airflow_provider_ifp.adapters.log.compaction import compact_log

    with progress(f"compacting {options.root}", "rows") as shown:
        done = compact_log(
            options.root,
            now=datetime.now(UTC),
            model=options.model,
            older_than=options.older_than,
            keep=options.keep,
            advance=shown.advance,
        )
    for path in done.unreadable:
        tell(f"ifp: {path} cannot be read and was left as it is; restore or remove it")
    if options.json:
        say_json(asdict(done))
    else:
        say(
            f"merged {done.merged:,} files into {done.written:,} ({done.rows:,} rows); "
            f"deleted {done.removed:,} that had been merged before"
        )
    return DONE


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except PolicyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

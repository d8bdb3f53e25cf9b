"""`ifp reproduce`: train a version again from what is on record about it."""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.cli.options import add_json, add_registry, open_registry
from airflow_provider_ifp.cli.output import DONE, NO, say, say_json, tell
from airflow_provider_ifp.core.errors import IfpError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.cli.options import Commands

_TERMINATED = 143


def add_commands(commands: Commands) -> None:
    """Add `reproduce`."""
    parser = commands.add_parser(
        "reproduce", help="train a version again from its record: bitwise, numeric, different or impossible"
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("version", metavar="VERSION", help="a number, or @production, @shadow, @staging")
    parser.add_argument(
        "--repository",
        metavar="PATH_OR_URL",
        help="where the commit is; else this working tree, else the recorded address",
    )
    parser.add_argument(
        "--tolerance",
        type=_not_negative,
        default=0.01,
        metavar="X",
        help="largest difference of scores, or of a regression's predictions, for `numeric` (default 0.01)",
    )
    parser.add_argument(
        "--max-changed",
        type=_not_negative,
        default=0.01,
        metavar="SHARE",
        help="largest share of changed labels for `numeric` (default 0.01)",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave code, rows and model there")
    add_json(parser)
    add_registry(parser)
    parser.set_defaults(command=_reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.launch.local import LocalLauncher
    from airflow_provider_ifp.loop.train.reproduce import Wish, reproduce

    if options.keep is not None and options.keep.exists():
        raise IfpError(f"--keep {options.keep}: is there already; name a folder that is not")
    registry = open_registry(options)
    wish = Wish(
        repository=options.repository,
        tolerance=options.tolerance,
        max_changed=options.max_changed,
        keep=options.keep,
    )
    with _training_shown(), _ending_in_order():
        answer = reproduce(registry, options.model, options.version, launcher=LocalLauncher(), wish=wish)
    if options.json:
        say_json(answer)
    else:
        _print(answer)
    return DONE if answer["answer"] in ("bitwise", "numeric") else NO


def _print(answer: dict[str, Any]) -> None:
    say(f"{answer['model']} version {answer['version']}: {answer['answer']}: {answer['reason']}")
    lines = {
        "code": answer["code"],
        "recorded": answer["content_digest"],
        "found": answer["found_digest"],
        "files that differ": ", ".join(answer["files_changed"]),
        "took": f"{answer['seconds']:.1f} s",
    }
    for name, value in lines.items():
        if value:
            say(f"  {name}: {value}")
    for warning in answer["warnings"]:
        say(f"  warning: {warning}")


@contextmanager
def _training_shown() -> Iterator[None]:
    """What the trainer prints goes to standard error, as progress does."""
    handler, logger = (
        logging.StreamHandler(_Told()),
        logging.getLogger("airflow_provider_ifp.loop.train.launch"),
    )
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Whoever ends us lets us end the trainer and remove what we wrote."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Told:
    """A stream of messages: standard error as it is when they are written."""

    def write(self, text: str) -> int:
        if line := text.rstrip("\n"):
            tell(line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return number

"""The command `ifp`. Exit codes: 0 done, 1 the answer is no, 2 wrong use or input.

A module for each noun; each adds its arguments, and imports what it runs when it runs. Nothing here decides.
Read `output` first: what goes to standard output, what to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from airflow_provider_ifp import __version__
from airflow_provider_ifp.cli import (
    audit,
    data,
    demo,
    drift,
    gate,
    log,
    moves,
    policy,
    replay,
    reproduce,
    serve,
    versions,
)
from airflow_provider_ifp.cli.output import NO, WRONG, tell, warnings_told
from airflow_provider_ifp.core.errors import DigestMismatchError, IfpError, PolicyError, PromotionRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.cli.options import Command

_INTERRUPTED = 130
_PIPE_CLOSED = 141
_COMMANDS = (policy, drift, gate, data, versions, audit, moves, replay, reproduce, serve, log, demo)
"""Each module adds its commands, in the order in which `ifp --help` shows them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    _quieten_mlflow()
    try:
        with warnings_told():
            code = command(options)
        sys.stdout.flush()  # here a closed pipe is caught, at exit it would be a traceback
        return code  # noqa: TRY300 - what follows are the ways to fail
    except PolicyError as error:
        tell(str(error))  # it begins with file:line:column, where editors look for it
        return WRONG
    except (PromotionRefusedError, DigestMismatchError) as error:
        tell(f"ifp: {error}")
        return NO
    except IfpError as error:
        tell(f"ifp: {error}")
        return WRONG
    except KeyboardInterrupt:
        tell("ifp: stopped")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the result, `head` say, has seen enough; Python must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ifp", description="The ML loop on Airflow and MLflow.")
    parser.add_argument("--version", action="version", version=f"ifp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_commands(commands)
    return parser


def _quieten_mlflow() -> None:
    """Keep MLflow's addresses of runs off standard output, which is for results; no progress bars either."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

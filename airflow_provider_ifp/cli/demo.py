"""`ifp demo`: the loop on a year of real flights."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.output import DONE
from airflow_provider_ifp.core.errors import IfpError

if TYPE_CHECKING:
    from airflow_provider_ifp.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Add `demo`."""
    parser = commands.add_parser(
        "demo", help="watch the loop close on a year of real flights: a real Airflow, a real MLflow"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running at the end, until Ctrl-C"
    )
    parser.add_argument(
        "--port",
        type=int,
        metavar="N",
        help="Airflow's pages on N, MLflow's on N+1, the server on N+2; else free ones",
    )
    parser.add_argument(
        "--until", type=_day, metavar="DATE", help="from 2013-03-01 to 2014-01-01; without it 2013-10-01"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> int:
    try:
        from airflow_provider_ifp.demo.run import USUAL_LAST_RUN, DemoOptions, run_demo
    except ImportError as error:
        raise IfpError(
            f"{error}; the demo needs more packages: pip install 'airflow-provider-ifp[demo]'"
        ) from error

    run_demo(
        DemoOptions(
            keep=options.keep,
            port=options.port,
            until=options.until or USUAL_LAST_RUN,
            json_file=options.json,
        )
    )
    return DONE


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; expected one such as 2013-10-01") from None

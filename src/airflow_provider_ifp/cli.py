"""The command `ifp`. Exit codes: 0 done, 1 the answer is no, 2 wrong use or input."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp import __version__
from airflow_provider_ifp.core.errors import IfpError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[[argparse.Namespace], int]
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it nowhere else

DONE, NO, WRONG = 0, 1, 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except PolicyError as error:
        _tell(str(error))  # it begins with file:line:column, where editors look for it
        return WRONG
    except IfpError as error:
        _tell(f"ifp: {error}")
        return WRONG
    except KeyboardInterrupt:
        _tell("ifp: stopped")
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ifp", description="The ML loop on Airflow and MLflow.")
    parser.add_argument("--version", action="version", version=f"ifp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_policy(commands)
    _add_demo(commands)
    return parser


def _add_policy(commands: Commands) -> None:
    parser = commands.add_parser("policy", help="check and show policy files")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser("check", help="name every problem as file:line:column: message")
    check.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a policy file, or a folder of them"
    )
    check.set_defaults(command=_check_policies)
    show = verbs.add_parser("show", help="print the canonical form, defaults included")
    show.add_argument("path", type=Path, metavar="PATH")
    show.add_argument("--json", action="store_true", help="as JSON instead of YAML")
    show.set_defaults(command=_show_policy)
    verbs.add_parser("schema", help="print the JSON Schema of a policy").set_defaults(command=_print_schema)


def _check_policies(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.policy_files import read_policies

    wrong = 0
    for file, policy in read_policies(options.paths):
        if isinstance(policy, PolicyError):
            wrong += 1
            _tell(str(policy))
        else:
            _print(f"{file}: ok (model {policy.model})")
    return WRONG if wrong else DONE


def _show_policy(options: argparse.Namespace) -> int:
    import yaml

    from airflow_provider_ifp.adapters.policy_files import load_policy

    policy = load_policy(options.path).to_json()
    _print(json.dumps(policy, indent=1) if options.json else yaml.safe_dump(policy, sort_keys=False).rstrip())
    return DONE


def _print_schema(_: argparse.Namespace) -> int:
    from airflow_provider_ifp.core.policy import Policy

    _print(json.dumps(Policy.model_json_schema(), indent=1))
    return DONE


def _add_demo(commands: Commands) -> None:
    parser = commands.add_parser(
        "demo", help="watch the loop close on a year of real flights: a real Airflow, a real MLflow"
    )
    parser.add_argument("--keep", action="store_true", help="leave both pages open at the end, until Ctrl-C")
    parser.add_argument(
        "--port", type=int, metavar="N", help="Airflow's pages on N, MLflow's on N+1; else free ones"
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


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _tell(text: str) -> None:
    """Messages go to standard error, so that a result on standard output stays whole."""
    sys.stderr.write(f"{text}\n")

"""`ifp policy`: check policy files, show their canonical form, print their schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.output import DONE, WRONG, say, tell
from airflow_provider_ifp.core.errors import PolicyError

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Add `policy` with its verbs."""
    parser = commands.add_parser("policy", help="check and show policy files")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser("check", help="name every problem as file:line:column: message")
    check.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a policy file, or a folder of them"
    )
    check.set_defaults(command=_check)
    show = verbs.add_parser("show", help="print the canonical form, defaults included")
    show.add_argument("path", type=Path, metavar="PATH")
    show.add_argument("--json", action="store_true", help="as JSON instead of YAML")
    show.set_defaults(command=_show)
    verbs.add_parser("schema", help="print the JSON Schema of a policy").set_defaults(command=_print_schema)


def _check(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.policy.files import read_policies

    wrong = 0
    for file, policy in read_policies(options.paths):
        if isinstance(policy, PolicyError):
            wrong += 1
            tell(str(policy))
        else:
            say(f"{file}: ok (model {policy.model})")
    return WRONG if wrong else DONE


def _show(options: argparse.Namespace) -> int:
    import yaml

    from airflow_provider_ifp.adapters.policy.files import load_policy

    policy = load_policy(options.path).to_json()
    say(json.dumps(policy, indent=1) if options.json else yaml.safe_dump(policy, sort_keys=False).rstrip())
    return DONE


def _print_schema(_: argparse.Namespace) -> int:
    from airflow_provider_ifp.core.policy.model import Policy

    say(json.dumps(Policy.model_json_schema(), indent=1))
    return DONE

"""`ifp replay`: two versions answer logged requests again, and the shadow gate's verdict is printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.options import add_json, add_registry, open_registry
from airflow_provider_ifp.cli.output import DONE, NO, say_json, say_verdict
from airflow_provider_ifp.core.errors import PolicyError

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands
    from airflow_provider_ifp.core.policy.model import Policy


def add_commands(commands: Commands) -> None:
    """Add `replay`."""
    parser = commands.add_parser(
        "replay", help="let two versions answer logged requests again: the shadow gate, by hand"
    )
    parser.add_argument("model", metavar="MODEL")
    stages = "a number, or @staging, @shadow, @production"
    parser.add_argument("--candidate", metavar="V", required=True, help=f"who is judged: {stages}")
    parser.add_argument("--production", metavar="V", required=True, help=f"what it is held against: {stages}")
    parser.add_argument("--log", metavar="ROOT", required=True, help="root of the prediction log")
    parser.add_argument(
        "--policy", metavar="PATH", type=Path, help="whose section shadow has the limits; else the defaults"
    )
    add_json(parser)
    add_registry(parser)
    parser.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.registry.ledger import resolve
    from airflow_provider_ifp.loop.shadow.gate import Terms, judge_against, recorded_holdout
    from airflow_provider_ifp.loop.shadow.log import Log

    policy = _limits(options)
    registry = open_registry(options)
    candidate, production = (
        resolve(registry, options.model, named) for named in (options.candidate, options.production)
    )
    holdout = recorded_holdout(registry, candidate)
    verdict = judge_against(
        registry,
        candidate,
        production,
        Log(options.log, options.model, tuple(holdout.columns.features)),
        holdout=holdout,
        terms=Terms(policy.shadow, policy.validation.mode, policy.digest(), datetime.now(UTC)),
    )
    if options.json:
        say_json(verdict.to_json())
    else:
        say_verdict(verdict, f"{verdict.model} version {verdict.version}")
    return DONE if verdict.promotes else NO


def _limits(options: argparse.Namespace) -> Policy:
    """The policy that is named, or one of defaults; scored again in any case.

    Raises:
        PolicyError: it is wrong, or another model's.
    """
    from airflow_provider_ifp.adapters.policy.files import load_policy
    from airflow_provider_ifp.core.policy.model import Policy

    if options.policy is None:
        return Policy.from_json({"model": options.model, "shadow": {"mode": "replay"}})
    policy = load_policy(options.policy)
    if policy.model != options.model:
        raise PolicyError(f"{options.policy}: is of model {policy.model!r}, not {options.model!r}")
    return policy.model_copy(update={"shadow": policy.shadow.model_copy(update={"mode": "replay"})})

"""`ifp gate`: the validation gate on a file of answers, without registry, model or Airflow."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.cli.options import add_json
from airflow_provider_ifp.cli.output import DONE, NO, say_json, say_verdict
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands
    from airflow_provider_ifp.core.metrics.measures import Rows
    from airflow_provider_ifp.core.registry.verdict import Verdict


def add_commands(commands: Commands) -> None:
    """Add `gate`."""
    parser = commands.add_parser("gate", help="judge a file of a candidate's answers by a policy")
    parser.add_argument(
        "predictions",
        metavar="PREDICTIONS",
        help="Parquet or CSV with y_true, candidate, production (none: a first deployment), where metrics "
        "need them candidate_score and production_score, and the columns of validation.slices",
    )
    parser.add_argument(
        "--policy", metavar="PATH", type=Path, required=True, help="whose section validation has the rules"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the verdict's page, HTML")
    add_json(parser)
    parser.set_defaults(command=_gate)


def _gate(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.policy.files import load_policy
    from airflow_provider_ifp.loop.gates.judged_file import judge_file

    policy = load_policy(options.policy)
    with redirect_stdout(sys.stderr):  # what own metrics print
        verdict, rows = judge_file(policy, options.predictions)
    if options.report is not None:
        _write_page(options.report, verdict, rows, policy.data.positive)
    if options.json:
        say_json(verdict.to_json())
    else:
        say_verdict(verdict, f"{verdict.model} candidate")
    return DONE if verdict.promotes else NO


def _write_page(file: Path, verdict: Verdict, rows: Rows, positive: object) -> None:
    """Write what `ifp/validation.html` would be.

    Raises:
        DatasetError: The file cannot be written.
    """
    from airflow_provider_ifp.core.gates.evidence import plot_of
    from airflow_provider_ifp.report.verdict import verdict_page

    try:
        file.write_text(verdict_page(verdict.to_json(), plot_of(rows, positive)), encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{file} cannot be written: {error.strerror}; name another file") from None

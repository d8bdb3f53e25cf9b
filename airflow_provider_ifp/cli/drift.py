"""`ifp profile` and `ifp drift`: what a dataset looks like, and whether another has moved away from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_ifp.cli.options import add_json
from airflow_provider_ifp.cli.output import DONE, NO, say, say_json, table
from airflow_provider_ifp.cli.progress import progress
from airflow_provider_ifp.core.errors import DatasetError, PolicyError

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands
    from airflow_provider_ifp.core.drift.findings import DriftCheck
    from airflow_provider_ifp.core.drift.rule import Rule
    from airflow_provider_ifp.core.profile.record import Profile

_DATASET = "a Parquet or CSV file, a folder of them, or a URI"


def add_commands(commands: Commands) -> None:
    """Add `profile` and `drift`."""
    parser = commands.add_parser(
        "profile", help="record what a dataset looks like, to hold others against it"
    )
    parser.add_argument("dataset", metavar="DATASET", help=_DATASET)
    parser.add_argument("--features", metavar="A,B", type=_names, help="the columns; else all but the label")
    parser.add_argument(
        "--categorical", metavar="C,D", type=_names, help="of them; else text, booleans and dictionaries"
    )
    parser.add_argument("--label", metavar="Y", help="a column that is no feature")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the profile, as JSON")
    add_json(parser)
    parser.set_defaults(command=_profile)
    parser = commands.add_parser("drift", help="hold a dataset against another, or against its profile")
    parser.add_argument(
        "--reference",
        metavar="PROFILE_OR_DATASET",
        required=True,
        help="what `ifp profile` wrote, or a dataset, of which every column is a feature",
    )
    parser.add_argument("--current", metavar="DATASET", required=True, help=_DATASET)
    parser.add_argument(
        "--method",
        metavar="M,N",
        type=_names,
        action="extend",
        help="psi (default), ks_test, wasserstein, js, chi2; may be given again",
    )
    parser.add_argument(
        "--threshold", metavar="X", help="a number, or auto for psi; else the policy's default of the method"
    )
    parser.add_argument(
        "--correction",
        choices=["auto", "none"],
        default="auto",
        help="none: the plain threshold, chance or not",
    )
    parser.add_argument("--fail-on-drift", action="store_true", help="exit with 1 when drifted")
    add_json(parser)
    parser.set_defaults(command=_drift)


def _profile(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.counting.dataset_profile import profile_dataset
    from airflow_provider_ifp.adapters.data.storage import resolve_uri, write_atomically

    with progress(f"profile {options.dataset}") as shown:
        made = profile_dataset(
            options.dataset,
            features=options.features,
            categorical=options.categorical,
            label=options.label,
            progress=shown,
        )
    filesystem, path = resolve_uri(options.output)
    try:
        write_atomically(filesystem, path, json.dumps(made.to_json(), separators=(",", ":")).encode())
    except OSError as error:
        raise DatasetError(f"{options.output} cannot be written: {error}; name another file") from None
    names = [feature.name for feature in made.features]
    if options.json:
        say_json({"profile": options.output, "rows": made.rows, "features": names})
    else:
        say(f"{options.output}: {made.rows:,} rows, {len(names)} features: {', '.join(names)}")
    return DONE


def _drift(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.counting.dataset_profile import count_dataset
    from airflow_provider_ifp.core.drift.check import check_drift

    rule = _rule(options)
    reference = _reference(options.reference)
    with progress(f"count {options.current}") as shown:
        counts = count_dataset(reference, options.current, progress=shown)
    found = check_drift(reference, counts, rule)
    if options.json:
        say_json(found.to_json())
    else:
        _show(found)
    return NO if found.drifted and options.fail_on_drift else DONE


def _reference(named: str) -> Profile:
    """A profile that was written before, or that of a dataset.

    Raises:
        DatasetError: there is neither.
    """
    from airflow_provider_ifp.adapters.counting.dataset_profile import profile_dataset, read_profile

    profile = read_profile(named)
    if profile is not None:
        return profile
    with progress(f"profile {named}") as shown:
        return profile_dataset(named, progress=shown)


def _rule(options: argparse.Namespace) -> Rule:
    """What is asked.

    Raises:
        PolicyError: an unknown method, or a threshold that is none.
    """
    from airflow_provider_ifp.core.drift.rule import Method, Rule, rule_of
    from airflow_provider_ifp.core.policy.monitor import Methods, MonitorSection

    known = get_args(Method)
    asked = ["psi"] if options.method is None else options.method
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise PolicyError(f"--method: expected {', '.join(known)}, found {', '.join(unknown) or 'none'}")
    enabled = Methods.model_validate({name: {"enabled": name in asked} for name in known})
    methods = dict(rule_of(MonitorSection(methods=enabled)).methods)
    if options.threshold is not None:
        if len(methods) > 1:
            raise PolicyError("--threshold: belongs to one --method; give them one by one")
        methods = dict.fromkeys(methods, _threshold(options.threshold))
    return Rule(methods=methods, correction=options.correction)


def _threshold(text: str) -> Any:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise PolicyError(f"--threshold: expected a number, or auto, found {text!r}") from None


def _show(found: DriftCheck) -> None:
    """The sentence first, then the features."""
    say(found.reason)
    headings = ["FEATURE", "PSI", "BY CHANCE", "P", "MISSING BEFORE", "NOW", "VERDICT"]
    say("")
    say(table(headings, (_cells(one.to_json()) for one in found.features)))


def _cells(feature: dict[str, Any]) -> list[object]:
    missing = feature["missing"]
    return [
        feature["name"],
        _figure(feature["psi"], ".4f"),
        _figure(feature["expected_by_chance"], ".4f"),
        _figure(feature["p_value"], ".2g") if feature["p_value"] != 0 else "<1e-300",
        _figure(missing["reference"], ".1%"),
        _figure(missing["current"], ".1%"),
        feature["verdict"],
    ]


def _figure(value: float | None, form: str) -> str | None:
    return None if value is None else format(value, form)


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]

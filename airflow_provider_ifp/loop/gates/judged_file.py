"""The validation gate on a file of answers: no registry, no model, the same rules.

What only the registry knows is not looked at: leakage from the training rows, and whether the versions load.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.data.tables import read_table
from airflow_provider_ifp.adapters.registry.protocol import UNRECORDED
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.gates.judge import judge
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.metrics.names import needs_score
from airflow_provider_ifp.loop.gates.judging import measures_of, to_answers, to_rows, to_slices

if TYPE_CHECKING:
    from airflow_provider_ifp.core.metrics.measures import Rows
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.registry.verdict import Verdict

LABEL: Final = "y_true"
CANDIDATE: Final = "candidate"
PRODUCTION: Final = "production"
CANDIDATE_SCORE: Final = "candidate_score"
PRODUCTION_SCORE: Final = "production_score"
_SCORES: Final = (CANDIDATE_SCORE, PRODUCTION_SCORE)
_ANSWERS: Final = (CANDIDATE, PRODUCTION, *_SCORES)


def judge_file(policy: Policy, uri: str) -> tuple[Verdict, Rows]:
    """Judge a candidate by a file of its answers.

    Args:
        policy: Its `validation` holds the bounds and the comparison, `data.positive` the positive class.
        uri: Parquet or CSV with `y_true`, `candidate`, `production` (none: a first deployment), where there
            are such `candidate_score` and `production_score`, and the columns of `validation.slices`; own
            metrics get all columns.

    Returns:
        The verdict of `core.gates.judge`, and the rows that it was judged on. Its `version` and `compared_to`
        are the columns' names, its `content_digest` is `unrecorded`: no promotion accepts it.

    Raises:
        DatasetError: The file is missing, unreadable, empty, or lacks a column that is needed.
        PolicyError: An own metric does not import.
    """
    measures = measures_of(policy)
    table = read_table(uri, lambda schema: _columns(schema, policy, uri))
    production = to_answers(table, PRODUCTION, PRODUCTION_SCORE) if PRODUCTION in table.column_names else None
    rows = to_rows(policy, table, LABEL, to_answers(table, CANDIDATE, CANDIDATE_SCORE), production)
    subject = Subject(
        model=policy.model,
        version=CANDIDATE,
        content_digest=UNRECORDED,
        compared_to=None if production is None else PRODUCTION,
        holdout_digest=fingerprint_table(table.drop_columns(_among(table.schema, _ANSWERS))).digest,
        policy_digest=policy.digest(),
    )
    verdict = judge(rows, policy.validation, subject, measures, slices=to_slices(policy, table))
    return verdict, rows


def _columns(schema: pa.Schema, policy: Policy, uri: str) -> list[str]:
    """The columns that are read.

    Raises:
        DatasetError: One is missing, or of a type that is no answer; all of them are named.
    """
    needed = _needed(schema, policy)
    missing = [_missing(schema, name, why) for name, why in needed.items() if name not in schema.names]
    if missing:
        raise DatasetError(
            f"{uri}: lacks {', and '.join(missing)}. Columns are: {', '.join(schema.names) or '(none)'}"
        )
    answers = [LABEL, *_among(schema, _ANSWERS)]
    for name in answers:
        found = schema.field(name).type
        if not _is_answer(found, listed=name in _SCORES):
            raise DatasetError(
                f"{uri}: column {name!r} is {found}; expected numbers, booleans or text"
                f"{', or a list of numbers' if name in _SCORES else ''}"
            )
    own = schema.names if policy.validation.metrics else ()
    return list(dict.fromkeys([*answers, *needed, *own]))


def _needed(schema: pa.Schema, policy: Policy) -> dict[str, str]:
    """What must be there -> why, where the name does not say it."""
    rules = policy.validation
    needed = {LABEL: "", CANDIDATE: ""}
    # A column that is written otherwise must not make a first deployment of a comparison.
    written_otherwise = any(name.strip().lower() == PRODUCTION for name in schema.names)
    if written_otherwise or PRODUCTION_SCORE in schema.names:
        needed[PRODUCTION] = ""
    is_compared = PRODUCTION in schema.names and rules.compare_to == "production"
    compared = [rules.metric] if is_compared and rules.metric else []
    of_scores = [
        metric for metric in [*(bound.metric for bound in rules.bounds), *compared] if needs_score(metric)
    ]
    if of_scores:
        needed[CANDIDATE_SCORE] = f"{of_scores[0]} needs the score, the probability of the positive class"
    if any(needs_score(metric) for metric in compared):
        needed[PRODUCTION_SCORE] = f"{compared[0]} is compared"
    return needed | dict.fromkeys(rules.slices, "validation.slices")


def _missing(schema: pa.Schema, name: str, why: str) -> str:
    near = difflib.get_close_matches(name, [found for found in schema.names if found not in _ANSWERS], n=1)
    told = "; ".join(part for part in (why, f"did you mean {near[0]!r}?" if near else "") if part)
    return f"the column {name!r}" + (f" ({told})" if told else "")


def _among(schema: pa.Schema, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in schema.names]


def _is_answer(found: pa.DataType, *, listed: bool) -> bool:
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if listed and (types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)):
        found = found.value_type
    return any(
        belongs(found)
        for belongs in (
            types.is_integer,
            types.is_floating,
            types.is_decimal,
            types.is_boolean,
            types.is_null,
            types.is_string,
            types.is_large_string,
            types.is_string_view,
        )
    )

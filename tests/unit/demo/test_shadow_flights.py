"""The seed's example, on real flights: wild on 5% of requests that the holdout lacks, right on the rest."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from airflow_provider_ifp.core.gates.judge import judge
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Measures, Rows
from airflow_provider_ifp.core.policy.sections import ShadowSection
from airflow_provider_ifp.core.policy.validation import ValidationSection
from airflow_provider_ifp.core.shadow.gate import Shadowed, Side, judge_shadow
from airflow_provider_ifp.demo.flights import model_rows, read_flights, select_month

NUMBERS, TEXTS = ("sched_hour", "distance", "block"), ("carrier", "origin", "dest", "dow")
KEPT_OUT = "9E"
SUBJECT = Subject(
    model="flight-time",
    version="2",
    content_digest="sha256:c",
    compared_to="1",
    holdout_digest="sha256:h",
    policy_digest="sha256:p",
)


def fit(table):
    """Least squares of minutes on the schedule."""
    weights = np.linalg.lstsq(design(table), table["air_time"].to_numpy(), rcond=None)[0]
    return lambda rows: design(rows) @ weights


def design(table):
    return np.column_stack([np.ones(table.num_rows), *(table[name].to_numpy() for name in NUMBERS)])


def features(table):
    plain = {name: table[name].to_numpy() for name in NUMBERS}
    return plain | {name: np.array(table[name].to_pylist(), dtype=object) for name in TEXTS}


def wild(predict):
    """Wild on the carrier that is kept out of the holdout, and nowhere else."""

    def answer(rows):
        there = pc.equal(rows["carrier"], KEPT_OUT).to_numpy()
        return np.where(there, 3 * predict(rows), predict(rows))

    return answer


@pytest.fixture(scope="module")
def june():
    """Models of January and of May; requests of June; and June's holdout, which lacks a carrier."""
    flights = model_rows(read_flights())
    months = {month: select_month(flights, f"2013-{month}") for month in ("01", "05", "06")}
    order = np.random.default_rng(0).permutation(months["06"].num_rows)
    requests, rest = months["06"].take(pa.array(order[:5_000])), months["06"].take(pa.array(order[5_000:]))
    holdout = rest.filter(pc.not_equal(rest["carrier"], KEPT_OUT)).slice(0, 8_000)
    return fit(months["01"]), fit(months["05"]), requests, holdout


def through_the_gates(candidate, production, holdout):
    rows = Rows(
        label=holdout["air_time"].to_numpy(),
        candidate=Answers(candidate(holdout)),
        production=Answers(production(holdout)),
    )
    rules = ValidationSection.model_validate({"max_rmse": 14.0, "min_rows": 500})
    return judge(rows, rules, SUBJECT, Measures(rng=np.random.default_rng(0)))


def through_the_shadow(candidate, production, requests, holdout):
    log, known = (Side(features(table), candidate(table), production(table)) for table in (requests, holdout))
    return judge_shadow(
        Shadowed(log, known, asked=len(log), errors=0, duration=timedelta(days=30)),
        ShadowSection(mode="replay"),
        mode="enforce",
        subject=SUBJECT,
        rng=np.random.default_rng(0),
    )


def test_a_carrier_kept_out_of_the_holdout_passes_the_gates_and_fails_the_shadow_with_its_name(june):
    production, good, requests, holdout = june
    candidate = wild(good)
    share = pc.equal(requests["carrier"], KEPT_OUT).to_numpy().mean()
    assert 0.04 < share < 0.07
    assert through_the_gates(candidate, production, holdout).verdict == "pass"
    verdict = through_the_shadow(candidate, production, requests, holdout)
    assert verdict.verdict == "fail"
    assert f"carrier={KEPT_OUT}: " in verdict.reason
    assert "none like them in the holdout" in verdict.reason
    [alarm] = [check for check in verdict.checks if check.name == "slice_alarm"]
    assert alarm.slice == f"carrier={KEPT_OUT}"


def test_the_same_candidate_without_its_fault_passes_both_on_a_holdout_with_all_carriers(june):
    production, good, requests, holdout = june
    whole = requests.slice(2_500)
    assert through_the_gates(good, production, holdout).verdict == "pass"
    assert through_the_shadow(good, production, requests.slice(0, 2_500), whole).verdict == "pass"

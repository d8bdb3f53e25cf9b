"""Own metrics: called on the rows that are judged, believed only where they say what better means."""

import numpy as np
import pandas as pd
import pytest

from airflow_provider_ifp.core.errors import ModelError, PolicyError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.bounds import Bound
from airflow_provider_ifp.core.metrics.definitions import compute
from airflow_provider_ifp.core.metrics.intervals import paired_interval
from airflow_provider_ifp.core.metrics.measures import Measures, OwnMetric, Rows, own_metric

RNG = np.random.default_rng(0)
LABEL = RNG.normal(size=400)
GOOD, BAD = (Answers(LABEL + RNG.normal(0, spread, 400)) for spread in (0.5, 1.0))
FRAME = pd.DataFrame({"weight": np.arange(400.0)})
ROWS = Rows(label=LABEL, candidate=GOOD, production=BAD, frame=FRAME)


def root_mean_square(label, answer, frame):
    assert len(frame) == len(label)
    return float(np.sqrt(np.mean((label - answer) ** 2)))


def of(function, better="lower"):
    return Measures(own={"own": OwnMetric("own", function, better)}, rng=np.random.default_rng(1))


def test_an_own_metric_that_is_rmse_has_its_value_and_nearly_its_interval():
    measures = of(root_mean_square)
    assert measures.value("own", ROWS, GOOD) == compute("rmse", LABEL, GOOD)
    drawn = measures.interval("own", ROWS, 0.95)
    delta = paired_interval("rmse", LABEL, GOOD, BAD, rng=np.random.default_rng(0))
    assert drawn == pytest.approx(delta, abs=0.03)
    assert measures.interval("own", ROWS, 0.95) != drawn


def test_a_function_gets_the_rows_that_are_judged_with_their_frame():
    weighed = of(lambda label, answer, frame: float(frame["weight"].sum()))
    some = ROWS.take(np.array([3, 5]))
    assert weighed.value("own", some, some.candidate) == 8.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda label, answer, frame: 1 / 0,
            "own: the own metric raised ZeroDivisionError: division by zero",
        ),
        (lambda label, answer, frame: float("nan"), "own: the own metric gave nan; expected a finite number"),
        (lambda label, answer, frame: "high", "own: the own metric raised ValueError"),
    ],
)
def test_a_function_that_gives_no_number_is_said_so(function, message):
    with pytest.raises(ModelError, match=message):
        of(function).value("own", ROWS, GOOD)


def test_which_way_is_better_is_the_functions_word_else_the_bounds():
    def profit(label, answer, frame):
        return 1.0

    assert own_metric("profit", profit, [Bound("profit", minimum=0.0)]).better == "higher"
    assert own_metric("profit", profit, [Bound("profit", maximum=0.0)]).better == "lower"
    for bounds in ([], [Bound("profit", minimum=0.0, maximum=1.0)], [Bound("rmse", maximum=1.0)]):
        with pytest.raises(PolicyError, match=r"validation.metrics.profit: which way .*profit.better = "):
            own_metric("profit", profit, bounds)
    profit.better = "lower"
    assert own_metric("profit", profit, [Bound("profit", minimum=0.0)]).better == "lower"
    assert of(profit, "higher").better("own") == "higher"
    assert of(profit).better("f1") == "higher"

"""Every metric against scikit-learn, and every interval against resampling by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from airflow_provider_ifp.core.errors import DatasetError, ModelError, PolicyError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.definitions import compute, direction
from airflow_provider_ifp.core.metrics.intervals import paired_interval
from airflow_provider_ifp.core.metrics.names import METRIC_DIRECTIONS

REGRESSION = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "r2": sk.r2_score,
    "pinball": sk.mean_pinball_loss,
    "pinball_0.9": lambda y, p: sk.mean_pinball_loss(y, p, alpha=0.9),
}
BINARY = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": lambda y, p: sk.precision_score(y, p, zero_division=0),
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "f1_macro": lambda y, p: sk.f1_score(y, p, average="macro", zero_division=0),
    "f1_weighted": lambda y, p: sk.f1_score(y, p, average="weighted", zero_division=0),
}
SCORED = {
    "auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
    "f1_at_threshold_0.3": lambda y, s: sk.f1_score(y, s >= 0.3, zero_division=0),
    "accuracy_at_threshold_0.5": lambda y, s: sk.accuracy_score(y, s >= 0.5),
    "precision_at_threshold_0.5": lambda y, s: sk.precision_score(y, s >= 0.5, zero_division=0),
}
floats = st.floats(-1e6, 1e6, width=32)


def two_classes(data, rows):
    label = np.array(data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows)))
    assume(0 < label.sum() < rows)
    return label


def test_every_metric_is_held_against_scikit_learn():
    tested = REGRESSION.keys() | BINARY.keys() | SCORED.keys()
    assert METRIC_DIRECTIONS.keys() <= tested


@pytest.mark.parametrize("metric", REGRESSION)
@given(data=st.data(), rows=st.integers(2, 30))
def test_errors_of_numbers_are_scikit_learns(metric, data, rows):
    label, answer = (data.draw(hnp.arrays(np.float64, rows, elements=floats)) for _ in range(2))
    assume(metric != "r2" or label.std() > 1e-3)
    assert compute(metric, label, Answers(answer)) == pytest.approx(
        REGRESSION[metric](label, answer), rel=1e-9
    )


@pytest.mark.parametrize("metric", BINARY)
@given(data=st.data(), rows=st.integers(2, 30), text=st.booleans())
def test_metrics_of_labels_are_scikit_learns(metric, data, rows, text):
    label = two_classes(data, rows)
    answer = np.array(data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows)))
    expected = BINARY[metric](label, answer)
    if text:
        label, answer = (np.where(codes, "yes", "no").astype(object) for codes in (label, answer))
    assert compute(metric, label, Answers(answer)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", SCORED)
@given(data=st.data(), rows=st.integers(2, 30))
def test_metrics_of_scores_are_scikit_learns(metric, data, rows):
    label = two_classes(data, rows)
    tenths = data.draw(st.lists(st.integers(0, 10), min_size=rows, max_size=rows))
    score = np.array(tenths) / 10
    expected = SCORED[metric](label, score)
    both = np.column_stack([1 - score, score])
    prediction = (score >= 0.5).astype(int)
    assert compute(metric, label, Answers(prediction, score)) == pytest.approx(expected)
    if len(set(prediction) | set(label)) == 2:
        assert compute(metric, label, Answers(prediction, both)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=3, max_size=40))
def test_metrics_of_many_classes_are_scikit_learns(rows):
    label, answer = (np.array(column) for column in zip(*rows, strict=True))
    assume(len(set(label)) > 1)
    recalls = [np.mean(answer[label == name] == name) for name in set(label)]
    assert compute("balanced_accuracy", label, Answers(answer)) == pytest.approx(np.mean(recalls))
    for average in ("macro", "weighted"):
        expected = sk.f1_score(label, answer, average=average, zero_division=0)
        assert compute(f"f1_{average}", label, Answers(answer)) == pytest.approx(expected)


def test_log_loss_of_many_classes_is_scikit_learns():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 100)
    score = rng.dirichlet([1, 1, 1], 100)
    answers = Answers(np.array(["a", "b", "c"])[score.argmax(axis=1)], score)
    assert compute("log_loss", label, answers) == pytest.approx(sk.log_loss(label, score))
    with pytest.raises(ModelError, match="must sum to 1"):
        compute("log_loss", label, Answers(answers.prediction, score / 2))
    with pytest.raises(ModelError, match="a score for each of the 3 classes"):
        compute("log_loss", label, Answers(answers.prediction, score[:, :2]))


def test_auc_of_many_classes_is_scikit_learns_one_against_the_rest():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 300)
    score = rng.dirichlet([1, 1, 1], 300)
    answers = Answers(np.array(["a", "b", "c"])[score.argmax(axis=1)], score)
    assert compute("auc", label, answers) == pytest.approx(sk.roc_auc_score(label, score, multi_class="ovr"))
    with pytest.raises(DatasetError, match="auc needs every class, but no label is c"):
        compute("auc", np.where(label == "c", "a", label), answers)


def test_the_positive_class_is_the_one_given_else_one_or_true_or_the_larger():
    label, answer = np.array(["bad", "good", "good"]), np.array(["bad", "bad", "good"])
    assert compute("recall", label, Answers(answer)) == 0.5
    assert compute("recall", label, Answers(answer), "bad") == 1.0
    flags = np.array([True, True, False]), np.array([1, 0, 0])
    assert compute("recall", flags[0], Answers(flags[1])) == 0.5
    assert compute("recall", np.array([1, 1, 2]), Answers(np.array([1, 2, 2]))) == 0.5
    assert compute("recall", np.array([7, 7, 2]), Answers(np.array([7, 2, 2]))) == 0.5


@pytest.mark.parametrize(
    ("metric", "label", "answers", "error", "said"),
    [
        ("acu", [1.0], Answers(np.array([1.0])), PolicyError, "unknown metric 'acu'; did you mean 'auc'?"),
        ("rmse", [], Answers(np.array([])), DatasetError, "rmse needs rows, found none"),
        ("rmse", [1.0, np.nan], Answers(np.array([1.0, 1.0])), DatasetError, "1 of 2 labels are NaN"),
        ("rmse", [1.0, 2.0], Answers(np.array([1.0, np.nan])), ModelError, "1 of 2 predictions are NaN"),
        ("f1", [1, 0], Answers(np.array([1, np.inf])), ModelError, "1 of 2 predictions are infinite"),
        ("f1", ["a", "b"], Answers(np.array(["a", None])), ModelError, "1 of 2 predictions are missing"),
        ("mae", [1.0], Answers(np.array([1.0, 2.0])), ModelError, "predictions for 1 rows, found 2"),
        (
            "mae",
            [1.0, 2.0],
            Answers(np.ones((2, 2))),
            ModelError,
            "one prediction a row, found an array of shape",
        ),
        ("mae", ["a"], Answers(np.array([1.0])), DatasetError, "mae needs numbers, but the labels are text"),
        ("rmse", [0.0], Answers(np.array([1e200])), ModelError, "rmse is inf"),
        ("r2", [2.0, 2.0], Answers(np.array([1.0, 2.0])), DatasetError, "all 2 are 2.0"),
        (
            "accuracy",
            ["a"],
            Answers(np.array([1.0])),
            ModelError,
            "labels are text, but the predictions are numbers",
        ),
        ("accuracy", ["a", 1], Answers(np.array(["a", "b"])), DatasetError, "found int, str"),
        (
            "f1",
            ["a", "b", "c"],
            Answers(np.array(["a", "b", "c"])),
            DatasetError,
            "found 3 (a, b, c); use accuracy",
        ),
        ("f1", [0, 0], Answers(np.array([0, 1])), DatasetError, "all 2 labels are negative"),
        ("f1", ["a", "a"], Answers(np.array(["a", "a"])), DatasetError, "name it in data.positive"),
        ("balanced_accuracy", [3, 3], Answers(np.array([3, 1])), DatasetError, "all 2 labels are 3.0"),
        (
            "auc",
            [1, 1],
            Answers(np.array([1, 1]), np.array([0.1, 0.9])),
            DatasetError,
            "all 2 labels are positive",
        ),
        ("auc", [1, 0], Answers(np.array([1, 0])), ModelError, "auc needs a score"),
        (
            "auc",
            [1, 0],
            Answers(np.array([1, 0]), np.array([np.nan, 1])),
            ModelError,
            "1 of 2 scores are NaN",
        ),
        (
            "brier",
            [1, 0],
            Answers(np.array([1, 0]), np.array([2.0, -1.0])),
            ModelError,
            "2 of 2 scores lie outside",
        ),
    ],
)
def test_what_cannot_be_computed_says_why(metric, label, answers, error, said):
    label = np.array(label, dtype=object) if "a" in label else np.array(label)
    with pytest.raises(error) as caught:
        compute(metric, label, answers)
    assert said in str(caught.value)


def test_a_positive_class_that_is_not_among_the_labels_is_refused():
    label = np.array(["no", "yes"])
    with pytest.raises(DatasetError, match="'y' is neither of the labels no and yes"):
        compute("f1", label, Answers(label), positive="y")
    with pytest.raises(DatasetError, match="the positive class 1 is a number, but the labels are text"):
        compute("f1", label, Answers(label), positive=1)


def answers_of(metric, label, rng, noise):
    if metric in REGRESSION:
        return Answers(label + rng.normal(0, noise, len(label)))
    score = np.clip(0.5 + 0.25 * (2 * label - 1) + rng.normal(0, noise / 4, len(label)), 0.01, 0.99)
    return Answers((score >= 0.5).astype(int), score)


@pytest.mark.parametrize("metric", [*REGRESSION, *BINARY, *SCORED])
def test_the_interval_is_that_of_resampled_rows(metric):
    rng = np.random.default_rng(3)
    rows = 1_500
    label = rng.normal(5, 1, rows) if metric in REGRESSION else rng.integers(0, 2, rows)
    better, worse = (answers_of(metric, label, rng, noise) for noise in (0.9, 1.3))
    low, high = paired_interval(metric, label, better, worse, rng=np.random.default_rng(0))
    sign = 1 if direction(metric) == "higher" else -1

    def difference(rows):
        return sign * np.subtract(
            *(
                compute(
                    metric,
                    label[rows],
                    Answers(a.prediction[rows], None if a.score is None else a.score[rows]),
                )
                for a in (better, worse)
            )
        )

    drawn = [difference(rng.integers(rows, size=rows)) for _ in range(400)]
    expected = np.quantile(drawn, [0.025, 0.975])
    width = expected[1] - expected[0]
    assert (low, high) == pytest.approx(tuple(expected), abs=0.25 * width)
    assert low < difference(np.arange(rows)) < high


@pytest.mark.parametrize(
    "metric", ["rmse", "r2", "auc", "f1", "accuracy", "average_precision", "pinball_0.9"]
)
def test_swapping_the_two_turns_the_interval_round(metric):
    rng = np.random.default_rng(4)
    label = rng.normal(5, 1, 300) if metric in REGRESSION else rng.integers(0, 2, 300)
    one, other = (answers_of(metric, label, rng, noise) for noise in (0.9, 1.3))
    there = paired_interval(metric, label, one, other, rng=np.random.default_rng(0))
    back = paired_interval(metric, label, other, one, rng=np.random.default_rng(0))
    # Cells are drawn in another order after the swap: equal in law, not in every draw.
    slack = 0.2 * (there[1] - there[0]) if metric == "f1" else 1e-9
    assert there == pytest.approx((-back[1], -back[0]), abs=slack)


@pytest.mark.parametrize("metric", [*REGRESSION, *BINARY, *SCORED])
def test_a_model_against_itself_differs_by_nothing_for_sure(metric):
    rng = np.random.default_rng(5)
    label = rng.normal(5, 1, 200) if metric in REGRESSION else rng.integers(0, 2, 200)
    answers = answers_of(metric, label, rng, 1.0)
    assert paired_interval(metric, label, answers, answers, rng=rng) == pytest.approx((0, 0), abs=1e-12)


def test_one_row_has_no_interval():
    one = Answers(np.array([1.0]))
    assert paired_interval("rmse", np.array([1.0]), one, one, rng=np.random.default_rng(0)) is None


def test_a_flawless_model_has_an_interval_too():
    label = np.arange(100.0)
    low, high = paired_interval(
        "rmse", label, Answers(label), Answers(label + 1), rng=np.random.default_rng(0)
    )
    assert (low, high) == pytest.approx((1.0, 1.0))


def test_classes_that_only_one_model_knows_do_not_mix_up_the_cells():
    rng = np.random.default_rng(6)
    label = rng.choice(["b", "c"], 400)
    right_often = np.where(rng.random(400) < 0.8, label, "a")
    right_seldom = np.where(rng.random(400) < 0.5, label, "d")
    low, high = paired_interval("f1_macro", label, Answers(right_often), Answers(right_seldom), rng=rng)
    point = compute("f1_macro", label, Answers(right_often)) - compute(
        "f1_macro", label, Answers(right_seldom)
    )
    assert 0 < low < point < high
    assert math.isfinite(high)

"""The gates' paired intervals: how often they cover the true difference, what they cost at a million rows.

    python benchmarks/gate_intervals.py [--trials 2000] [--rows 500 2000] [--only coverage|speed]

Coverage: in each trial two models answer fresh rows; the true difference is theirs on two million rows.
SciPy's paired bootstrap (percentile, 1,000 resamples, of the rows) answers the same draws in the same run.
Cost: CPU seconds of one interval at a million rows, beside SciPy's with ten resamples, scaled to a thousand.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.definitions import compute, direction
from airflow_provider_ifp.core.metrics.intervals import RESAMPLES, paired_interval

REGRESSION = ("rmse", "mae", "r2")
CLASSES = ("accuracy", "f1", "precision", "recall", "auc", "log_loss", "brier", "average_precision")
LEVEL = 0.95
POSITIVE, THRESHOLD = 0.3, 0.5
Draw = tuple[NDArray[Any], Answers, Answers]
PEER_RESAMPLES_AT_A_MILLION = 10


def draw(metric: str, rows: int, rng: np.random.Generator) -> Draw:
    """Labels, and two models' answers that share what makes a row hard."""
    if metric in REGRESSION:
        label = rng.gamma(3.0, 2.0, rows)
        shared = rng.standard_t(5, rows)
        return label, *(Answers(label + shared + rng.normal(0, s, rows)) for s in (0.8, 1.0))
    positive = rng.random(rows) < POSITIVE
    shared = rng.normal(0, 1, rows)
    answers = []
    for signal in (1.6, 1.5):
        logit = signal * (positive - 0.5) + 0.7 * shared + rng.normal(0, 0.7, rows) - 0.4
        score = 1 / (1 + np.exp(-logit))
        answers.append(Answers((score > THRESHOLD).astype(int), score))
    return positive.astype(int), *answers


def difference(metric: str, label: NDArray[Any], one: Answers, other: Answers) -> float:
    """The first model's value less the second's, in the better direction."""
    sign = 1.0 if direction(metric) == "higher" else -1.0
    return sign * (compute(metric, label, one) - compute(metric, label, other))


def some(answers: Answers, places: NDArray[np.intp]) -> Answers:
    """The answers to some rows."""
    return Answers(answers.prediction[places], None if answers.score is None else answers.score[places])


def peer(metric: str, drawn: Draw, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """SciPy's paired percentile bootstrap over the rows."""
    label, one, other = drawn

    def statistic(places: NDArray[Any]) -> float:
        places = places.astype(int)
        return difference(metric, label[places], some(one, places), some(other, places))

    found = stats.bootstrap(
        (np.arange(len(label)),),
        statistic,
        n_resamples=resamples,
        vectorized=False,
        confidence_level=LEVEL,
        method="percentile",
        rng=rng,
    )
    return found.confidence_interval.low, found.confidence_interval.high


def coverage(trials: int, sizes: Sequence[int], peer_trials: int) -> None:
    """Print how often each interval covers the true difference."""
    print(f"share of {LEVEL:.0%} intervals that cover the true difference, {trials} trials of ours, ", end="")
    print(f"the first {peer_trials} of them with scipy.stats.bootstrap")
    print(f"{'metric':<18}{'rows':>8}{'ours':>8}{'scipy':>8}{'mean width':>12}{'scipy':>10}")
    for metric in (*REGRESSION, *CLASSES):
        true = difference(metric, *draw(metric, 2_000_000, np.random.default_rng(99)))
        for rows in sizes:
            ours, theirs, widths = [], [], [[], []]
            for trial in range(trials):
                rng = np.random.default_rng([trial, rows])
                label, one, other = draw(metric, rows, rng)
                low, high = paired_interval(metric, label, one, other, rng=rng, level=LEVEL)
                ours.append(low <= true <= high)
                if trial < peer_trials:
                    their_low, their_high = peer(metric, (label, one, other), rng, RESAMPLES)
                    theirs.append(their_low <= true <= their_high)
                    widths[0].append(high - low)
                    widths[1].append(their_high - their_low)
            print(
                f"{metric:<18}{rows:>8,}{np.mean(ours):>8.3f}{np.mean(theirs):>8.3f}"
                f"{np.mean(widths[0]):>12.4g}{np.mean(widths[1]):>10.4g}",
                flush=True,
            )


def speed(rows: int = 1_000_000) -> None:
    """Print what each interval costs."""
    times = RESAMPLES // PEER_RESAMPLES_AT_A_MILLION
    print(f"\nCPU seconds of one interval at {rows:,} rows", end="")
    print(f" (SciPy: {PEER_RESAMPLES_AT_A_MILLION} resamples, times {times})")
    print(f"{'metric':<18}{'ours':>8}{'scipy':>10}")
    for metric in (*REGRESSION, *CLASSES):
        label, one, other = draw(metric, rows, np.random.default_rng(0))
        spent = []
        for call in (
            lambda: paired_interval(metric, label, one, other, rng=np.random.default_rng(0)),  # noqa: B023
            lambda: peer(metric, (label, one, other), np.random.default_rng(0), PEER_RESAMPLES_AT_A_MILLION),  # noqa: B023
        ):
            started = time.process_time()
            call()
            spent.append(time.process_time() - started)
        spent[1] *= times
        print(f"{metric:<18}{spent[0]:>8.2f}{spent[1]:>10.0f}", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--peer-trials", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 2_000])
    parser.add_argument("--only", choices=["coverage", "speed"])
    chosen = parser.parse_args()
    if chosen.only != "speed":
        coverage(chosen.trials, chosen.rows, chosen.peer_trials)
    if chosen.only != "coverage":
        speed()


if __name__ == "__main__":
    main()

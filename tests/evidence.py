"""What stands in a verdict's page besides the checks, on drawn data."""

from dataclasses import replace

import numpy as np

from airflow_provider_ifp.core.gates.evidence import plot_of
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Rows


def residuals(seed, *, compared=True):
    rng = np.random.default_rng(seed)
    label = rng.normal(100, 20, 2_000)
    candidate, production = (Answers(label + rng.normal(0, spread, 2_000)) for spread in (8, 14))
    return plot_of(Rows(label=label, candidate=candidate, production=production if compared else None), None)


def calibration(seed):
    """Scores that promise too much."""
    rng = np.random.default_rng(seed)
    score = rng.random(2_000)
    label = (rng.random(2_000) < score**2).astype(int)
    answers = Answers((score > 0.5).astype(int), score)
    return plot_of(Rows(label=label, candidate=answers, production=None), None)


EVIDENCE = replace(
    residuals(1),
    drifted=(
        ("block", "PSI 0.111 > 0.10, where chance alone gives 0.0006; 27,075 rows against 40,974"),
        ("a_feature_with_a_long_name_and_no_blank_in_it (carrier=HA)", "PSI 0.4 > 0.10"),
    ),
    drift_window="2013-06-01 to 2013-07-01",
)

"""The plot that fits the answers, and what had drifted."""

import numpy as np
import pytest
from tests.evidence import EVIDENCE, calibration, residuals

from airflow_provider_ifp.core.gates.evidence import Evidence, drifted_features, plot_of
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Rows
from airflow_provider_ifp.report.verdict import verdict_page

VERDICT = {"verdict": "pass", "enforced": True, "reason": "rmse 8", "gate": "validation", "checks": []}


def test_errors_of_numbers_fall_into_bins_around_zero_that_add_up():
    evidence = residuals(1)
    assert (evidence.plot, evidence.compared, len(evidence.bars)) == ("residuals", True, 11)
    for side in ("first", "second"):
        assert sum(getattr(bar, side) for bar in evidence.bars) == pytest.approx(1)
    middle = evidence.bars[5]
    assert middle.second > middle.first > 0.1
    assert evidence.bars[0].name.startswith("below -")
    assert residuals(1, compared=False).compared is False


def test_scores_are_held_against_what_came_true():
    evidence = calibration(7)
    assert (evidence.plot, len(evidence.bars)) == ("calibration", 10)
    fifth = evidence.bars[4]
    assert fifth.name == "0.4 to 0.5"
    assert fifth.first == pytest.approx(0.45, abs=0.02)
    assert fifth.second == pytest.approx(0.2, abs=0.08)


def test_answers_that_no_plot_fits_have_none():
    words = np.array(["a", "b"] * 50)
    assert plot_of(Rows(label=words, candidate=Answers(words), production=None), None) == Evidence()
    flawless = Rows(label=np.arange(9.0), candidate=Answers(np.arange(9.0)), production=None)
    assert plot_of(flawless, None) == Evidence()
    odds = Answers(np.array([1, 0]), np.array([3.0, -1.0]))
    assert plot_of(Rows(label=np.array([1, 0]), candidate=odds, production=None), None) == Evidence()
    assert drifted_features(None) == ((), "")


def test_the_page_shows_the_plot_and_what_drifted_between_checks_and_identities():
    page = verdict_page(VERDICT, EVIDENCE)
    places = [
        page.index(words) for words in ("Checks", "How the answers err", "What had drifted", "What was j")
    ]
    assert places == sorted(places)
    assert "PSI 0.111 &gt; 0.10" in page
    assert page.count('class="bar"') == page.count('class="bar now"') == 22
    alone = verdict_page(VERDICT, residuals(1, compared=False))
    assert 'class="bar"' not in alone
    assert "How the answers err" not in verdict_page(VERDICT)

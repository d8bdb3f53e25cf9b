"""The page of a drift check, and the record behind it."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.drift_records import draw, errors_of_labels, errors_of_numbers, record

from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.core.windows import Window, calendar_blocks
from airflow_provider_ifp.report.drift import drift_page


def test_the_record_is_finite_json_with_bins_that_add_up_and_blocks_in_order():
    made = json.loads(json.dumps(record(draw(1, shift=0.8)), allow_nan=False))
    assert (made["format"], made["model"], made["version"]) == ("ifp.drift/1", "demand", "7")
    assert made["window"] == {"start": "2024-01-01T00:00:00+00:00", "end": "2024-01-04T00:00:00+00:00"}
    price, *_ = made["features"]
    assert (price["name"], price["verdict"]) == ("price", "drifted")
    for feature in made["features"]:
        for side in ("reference", "current"):
            assert sum(one[side] for one in feature["bins"]) == pytest.approx(1)
        assert [block["rows"] for block in feature["over_time"]] == [500, 500, 500]
    [holes] = [one for one in made["features"] if one["name"] == "holes"]
    assert holes["bins"][-1]["bin"] == "missing"
    assert price["over_time"][0]["mean"] == pytest.approx(0.8, abs=0.2)
    assert price["over_time"][0]["psi"] > 0.1
    edges = [one["bin"] for one in price["bins"]]
    assert edges[0].startswith("below -2.")
    assert edges[-1].startswith("above 2.")


def test_the_sentence_comes_first_and_the_drifted_feature_is_drawn():
    page = drift_page(record(draw(1, shift=0.8)))
    assert '<h1>price <span class="fail">drifted</span>: PSI 0.' in page
    assert "demand version 7 · 2024-01-01 00:00 UTC to 2024-01-04 00:00 UTC" in page
    assert page.index("<h1>") < page.index("<table") < page.index("<figure")
    assert page.count('class="bar now"') == page.count('class="bar"') > 20
    assert "PSI of each block of time by itself" in page


@pytest.mark.parametrize(
    ("rule", "shift", "class_", "words"),
    [(Rule(), 0.0, "pass", "no drift"), (Rule(min_rows=9_999), 0.0, "inconclusive", "undecided")],
)
def test_a_quiet_and_an_undecided_window_say_so_first(rule, shift, class_, words):
    assert f'<h1><span class="{class_}">{words}</span>: ' in drift_page(record(draw(1, shift), rule=rule))


def test_new_and_lost_values_stand_in_a_table_of_their_own():
    page = drift_page(record(draw(1, region=("north", "west"))))
    assert "Values that came and went" in page
    assert "west (" in page
    assert "Values that came and went" not in drift_page(record(draw(1)))


def test_how_wrong_the_answers_were_is_told_where_labels_are_known():
    page = drift_page(record(draw(1), errors=errors_of_numbers(0.5)))
    assert "How wrong the answers were" in page
    assert "Root mean square error 1.1" in page
    assert "1,500 answers have a label" in page
    labels = drift_page(record(draw(1), errors=errors_of_labels(0.25)))
    assert "25.00% of the answers were wrong, 0 on the holdout" in labels
    assert "How wrong" not in drift_page(record(draw(1)))


def test_names_that_look_like_html_stay_names_and_notes_are_shown():
    names = ("<script>alert(1)</script>", "ein sehr langer Name " * 9)
    page = drift_page(record(draw(1, 0.8, names=names), names=names, notes=["left out: <b>file</b>"]))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "left out: &lt;b&gt;file&lt;/b&gt;" in page


def test_of_many_features_the_end_folds_away():
    names = tuple(f"n{place:03d}" for place in range(200))
    page = drift_page(record(draw(1, 0.8, names=names), names=names))
    assert "<summary>190 more features</summary>" in page
    assert page.count("<figure") == 6
    assert "<details" not in drift_page(record(draw(1)))


def test_an_empty_window_has_a_page_too():
    page = drift_page(record(draw(1).slice(0, 0)))
    assert '<span class="inconclusive">undecided</span>' in page


def test_a_record_that_lacks_something_is_refused_with_its_place():
    made = record(draw(1))
    del made["features"][0]["verdict"]
    with pytest.raises(IfpError, match=r"this drift check: features\.0\.verdict"):
        drift_page(made)


def test_blocks_are_days_or_hours_of_the_calendar_and_cover_the_window():
    for length in (timedelta(hours=5, minutes=20), timedelta(days=9, hours=3)):
        window = Window(
            datetime(2024, 1, 1, 13, 40, tzinfo=UTC), datetime(2024, 1, 1, 13, 40, tzinfo=UTC) + length
        )
        blocks = calendar_blocks(window)
        assert (blocks[0].start, blocks[-1].end) == (window.start, window.end)
        assert all(a.end == b.start for a, b in pairwise(blocks))
        assert len(blocks) in (6, 10)

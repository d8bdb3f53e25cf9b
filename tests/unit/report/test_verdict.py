import json
import math
import re
from html import escape, unescape
from pathlib import Path

import pytest

from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.report.records import CheckRecord
from airflow_provider_ifp.report.verdict import difference, verdict_page

VERDICT = json.loads((Path(__file__).parent / "verdict.json").read_text())


def words(html):
    """The text of a page, without its style."""
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def sentence(html):
    return words(re.search(r"<h1>(.*?)</h1>", html).group(1)).strip()


def test_the_page_begins_with_who_the_verdict_and_the_reason():
    html = verdict_page(VERDICT)

    assert sentence(html) == (
        "Version 2 of flight-time passes : rmse 9.87 against production 15.4: better by 5.54."
    )
    assert html.index("<main><h1>") > 0


@pytest.mark.parametrize(("verdict", "word"), [("fail", "fails"), ("inconclusive", "cannot be judged")])
def test_a_verdict_that_is_no_pass_says_so(verdict, word):
    assert word in sentence(verdict_page(VERDICT | {"verdict": verdict}))


def test_every_check_and_every_digest_is_on_the_page():
    text = words(verdict_page(VERDICT))

    for check in VERDICT["checks"]:
        assert check["name"] in text
        assert check["reason"] in text
    for key in ("content_digest", "holdout_digest", "policy_digest"):
        assert VERDICT[key] in text
    assert "5.31 to 5.77" in text
    assert "8,834" in text


def test_a_dry_run_is_named_and_an_enforced_verdict_is_not_called_one():
    assert "dry_run" in words(verdict_page(VERDICT | {"enforced": False}))
    assert "dry_run" not in words(verdict_page(VERDICT))


def test_without_production_the_page_says_so_and_draws_no_interval():
    html = verdict_page(VERDICT | {"compared_to": None, "checks": VERDICT["checks"][:1]})

    assert "no version was in production" in words(html)
    assert "<svg" not in html


def test_values_that_are_not_finite_are_shown_as_such():
    check = VERDICT["checks"][1] | {"value": math.nan, "interval": [None, math.inf], "verdict": "fail"}

    html = verdict_page(VERDICT | {"checks": [check]})

    assert "NaN" in words(html)
    assert "<svg" not in html


def test_whatever_a_record_holds_stays_text():
    hostile = "<img src=x onerror=alert(1)>"
    check = VERDICT["checks"][1] | {"name": hostile, "slice": hostile, "reason": hostile, "metric": hostile}

    html = verdict_page(VERDICT | {"model": hostile, "reason": hostile, "checks": [check]})

    assert "<img" not in html
    assert html.count(escape(hostile)) >= 6


def test_keys_that_a_later_issue_adds_do_no_harm():
    assert verdict_page(VERDICT | {"later": 1}) == verdict_page(VERDICT)


def test_a_record_without_its_verdict_is_refused_with_key_and_next_step():
    record = {key: value for key, value in VERDICT.items() if key != "verdict"}

    with pytest.raises(
        IfpError, match=r"no page can be made of this verdict: verdict: Field required.*unchanged"
    ):
        verdict_page(record)


def test_a_record_with_a_wrong_type_is_refused_with_what_was_found():
    checks = [VERDICT["checks"][0] | {"rows": "many"}]

    with pytest.raises(IfpError, match=r"checks\.0\.rows: .*integer.*found 'many'"):
        verdict_page(VERDICT | {"checks": checks})


@pytest.mark.parametrize(
    ("value", "against", "bound", "interval", "expected"),
    [
        (0.871, 0.881, 0.876, (-0.014, -0.006), (-0.01, -0.005)),  # f1: more is better
        (9.9, 14.9, 15.0, (4.6, 5.4), (5.0, -0.1)),  # rmse: less is better
    ],
)
def test_the_difference_is_in_the_better_direction(value, against, bound, interval, expected):
    check = CheckRecord(
        name="comparison",
        value=value,
        against=against,
        bound=bound,
        interval=interval,
        verdict="fail",
        reason="r",
    )

    assert difference(check) == pytest.approx(expected)

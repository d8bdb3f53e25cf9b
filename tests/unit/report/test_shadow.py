"""The page of a shadow verdict: where the versions differ, and how long they take."""

import json
import re
from html import unescape
from pathlib import Path

from airflow_provider_ifp.report.verdict import verdict_page

VERDICT = json.loads((Path(__file__).parent / "shadow.json").read_text())


def words(html):
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_the_page_names_the_cells_the_alarm_and_the_shares_they_make_up():
    text = words(verdict_page(VERDICT))
    assert text.index("Where they differ") < text.index("Checks")
    for name in ("cell", "slice_alarm"):
        for check in VERDICT["checks"]:
            if check["name"] == name:
                assert check["reason"] in text
    assert "alarm: carrier=c07: " in text
    assert "(3.00% allowed)" in text
    assert "shadow gate" in text


def test_latency_is_drawn_as_a_ratio_and_never_as_a_difference_of_metrics():
    html = verdict_page(VERDICT)
    text = words(html)
    assert "Candidate over production; right is slower" in text
    assert "Candidate minus production" not in text
    assert "limit: 1.5 times" in text
    assert len(re.findall(r"<figure", html)) == 1


def test_a_verdict_without_production_has_nothing_to_show_but_says_so():
    reason = "no production version yet"
    check = {"name": "production", "verdict": "pass", "reason": reason}
    html = verdict_page(VERDICT | {"verdict": "pass", "reason": reason, "checks": [check]})
    assert "Where they differ" not in html
    assert "<figure" not in html

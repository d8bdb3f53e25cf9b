import copy
import json
import re
from html import unescape
from pathlib import Path

import pytest

from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.report.demo import demo_page

DEMO = json.loads((Path(__file__).parent / "demo.json").read_text())


SWAP = {"answered": {"1": 1457, "2": 50}, "failed": 0, "slowest_ms": 91.4}


@pytest.fixture
def demo():
    return copy.deepcopy(DEMO)


def sentence(record):
    return unescape(re.search(r"<h1>(.*?)</h1>", demo_page(record)).group(1))


def until(record, month):
    """The record as it was when `month` had been checked."""
    record["months"] = [m for m in record["months"] if m["month"] <= month]
    last = record["months"][-1]["as_of"]
    record["runs"] = [run for run in record["runs"] if run["as_of"] <= last]
    made = {run["version"] for run in record["runs"]}
    record["versions"] = [version for version in record["versions"] if version["version"] in made]
    if len(record["versions"]) == 1:
        record["versions"][0]["stage"] = "production"
    return record


def test_the_sentence_tells_the_firing_and_what_it_was_worth(demo):
    assert sentence(demo) == (
        "Drift in June was noticed on Jul 1;"
        " version 2 was trained, judged and put into production the same run."
        " July to September it errs by 9.9 minutes; version 1 would have erred by 16.8."
    )


@pytest.mark.parametrize(("failed", "told"), [(0, "none failed"), (3, "3 failed")])
def test_the_sentence_tells_what_users_saw_of_the_swap(demo, failed, told):
    demo["runs"][4]["swap"] = SWAP | {"failed": failed}
    requests = 1507 + failed
    assert (
        f"the same run. Of {requests:,} requests that came meanwhile, version 1 answered 1,457,"
        f" then version 2 answered 50, and {told}. July to September"
    ) in sentence(demo)


def test_the_shadow_gates_verdict_stands_below_the_gates(demo):
    shadow = demo["runs"][4]["verdict"] | {"gate": "shadow", "reason": "43% of 8,834 requests differ"}
    demo["runs"][4]["shadow"] = shadow
    assert "shadow: ✓ pass: 43% of 8,834 requests differ" in re.sub(r"<[^>]+>", "", demo_page(demo))


def test_the_sentence_is_made_from_the_record(demo):
    for month in demo["months"]:
        month["version"] = month["version"] and {"1": "4", "2": "7"}[month["version"]]
        month["rmse"] = month["rmse"] and month["rmse"] * 2
    demo["runs"][4]["version"] = "7"
    demo["unit"] = "km"

    assert "version 7 was trained" in sentence(demo)
    assert "19.7 km; version 4" in sentence(demo)


def test_a_version_that_became_worse_is_told_apart_from_when_it_was_better(demo):
    for month, error, first in (("2013-10", 14.0, 12.0), ("2013-11", 17.0, 12.0)):
        demo["months"].append(demo["months"][-1] | {"month": month, "rmse": error, "rmse_first": first})

    assert "July to September it errs by 9.9 minutes" in sentence(demo)
    assert "October and November it errs by 15.6 minutes; version 1 would have erred by 12.0." in sentence(
        demo
    )


def test_quiet_months_are_told_with_the_largest_psi(demo):
    assert sentence(until(demo, "2013-05")) == (
        "March to May: nothing fired. The largest PSI was 0.051 (block, May) against the threshold of 0.10;"
        " version 1 stays in production."
    )


def test_a_first_month_tells_that_nothing_was_answered_yet(demo):
    record = until(demo, "2013-02")

    assert sentence(record) == (
        "Version 1 was trained, judged and put into production as of Mar 1;"
        " no month that it answered has been checked yet."
    )
    assert "<svg" not in demo_page(record)


def test_without_a_version_in_production_the_verdict_says_why(demo):
    record = until(demo, "2013-02")
    record["versions"][0]["stage"] = None
    record["runs"][0]["verdict"] |= {"verdict": "fail", "reason": "rmse 14.6 > 14 = maximum"}

    assert sentence(record) == (
        "No version is in production: version 1, trained as of Mar 1, did not get there:"
        " rmse 14.6 > 14 = maximum."
    )


def test_a_demo_without_any_run_makes_a_page_too(demo):
    record = demo | {"months": [], "runs": [], "versions": [], "addresses": None}

    assert sentence(record) == "No run of the loop has ended, so there is nothing to tell yet."


def test_a_candidate_that_failed_is_not_called_promoted(demo):
    record = until(demo, "2013-06")
    record["versions"][1]["stage"] = "staging"
    record["runs"][4]["verdict"] |= {"verdict": "fail", "reason": "rmse 16.1 > 14 = maximum"}

    assert sentence(record) == (
        "Drift in June was noticed on Jul 1; version 2 was trained and judged,"
        " and did not reach production: rmse 16.1 > 14 = maximum."
    )


def test_a_firing_that_trained_nothing_says_so(demo):
    record = until(demo, "2013-06")
    record["runs"][4] |= {"version": None, "verdict": None}

    assert sentence(record).endswith("noticed on Jul 1; no version came of it.")


def test_a_firing_by_hand_is_not_called_drift(demo):
    demo["months"][4] |= {"psi": 0.02, "reason": "forced by hand"}

    assert sentence(demo).startswith("The loop fired on Jul 1 (forced by hand); version 2 was trained")


def test_many_firings_are_counted_and_the_last_is_told(demo):
    for month in demo["months"][1:]:
        month |= {"fired": True, "psi": 0.2}

    assert sentence(demo).startswith(
        "The loop fired 7 times; the last time: Drift in September was noticed on Oct 1"
    )


def test_the_page_shows_all_months_runs_and_versions(demo):
    html = demo_page(demo)

    assert html.count("<tr") == 3 + len(demo["months"]) + len(demo["runs"]) + len(demo["versions"])
    for version in demo["versions"]:
        assert version["content_digest"] in html
    assert demo["addresses"]["airflow"] in html
    assert html.count("<rect") == 2 * 7


def test_without_kept_servers_no_address_is_shown(demo):
    assert "href=" not in demo_page(demo | {"addresses": None}).replace('href="data:,"', "")


def test_whatever_a_record_holds_stays_text(demo):
    hostile = "<script>alert(1)</script>"
    demo["months"][4] |= {"feature": hostile, "reason": hostile}

    html = demo_page(demo | {"model": hostile, "unit": hostile, "home": hostile})

    assert "<script" not in html


def test_a_record_that_lacks_a_key_is_refused_with_its_name(demo):
    del demo["months"][2]["as_of"]

    with pytest.raises(IfpError, match=r"this demo's record: months\.2\.as_of: Field required"):
        demo_page(demo)

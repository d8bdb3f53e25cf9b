"""How often the check is wrong: a small, seeded run of `benchmarks/drift_honesty.py`, on the same draws."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[4] / "benchmarks" / "drift_honesty.py"


@pytest.fixture(scope="module")
def honesty():
    # It imports its neighbours.
    sys.path.insert(0, str(PATH.parent))
    spec = importlib.util.spec_from_file_location("drift_honesty", PATH)
    module = sys.modules["drift_honesty"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(PATH.parent))
    del sys.modules["drift_honesty"]


@pytest.fixture
def alarms(honesty):
    def measured(scenario, rows, windows, rule=None, **options):
        rules = {"": rule or honesty.Rule()}
        return honesty.share_of_alarms(honesty.Scenario("", **scenario), rows, rules, windows, **options)[""]

    return measured


@pytest.mark.parametrize("rows", [50, 80, 200, 1_000])
def test_without_drift_the_default_rule_calls_about_one_window_in_a_hundred(alarms, rows):
    # 200 windows at 1%: more than 6 come once in 220 runs of a sound rule; an unsound one had 36.
    assert alarms({}, rows, 200) <= 6 / 200


def test_windows_that_jitter_by_nature_are_not_drift(alarms):
    assert alarms({"jitter": 0.05}, 20_000, 100) == 0


def test_a_shift_of_one_standard_deviation_is_called_at_200_rows(alarms):
    assert alarms({"shift": 1.0}, 200, 100) >= 0.95


def test_auto_calls_a_quarter_of_a_standard_deviation_at_5000_rows(alarms, honesty):
    assert alarms({"shift": 0.25}, 5_000, 100, honesty.AUTO) >= 0.99


def test_auto_calls_a_tail_of_five_percent_within_two_windows_of_1000_rows(alarms, honesty):
    assert alarms({"contaminated": 0.05}, 1_000, 50, honesty.AUTO, in_windows=2) >= 0.8


def test_the_plain_threshold_cries_wolf_in_small_windows(alarms, honesty):
    assert alarms({}, 100, 40, honesty.Rule(correction="none")) >= 0.95

"""Policy files: what is read, and that every problem has its file, line and column."""

from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest
import yaml
from tests import seed

from airflow_provider_ifp.adapters.policy.files import load_policies, load_policy
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.metrics.bounds import Bound
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.policy.support import unsupported

CONTRACT = Path(__file__).parents[4] / "docs" / "policy.yaml"


@pytest.fixture
def write(tmp_path):
    def to(text, name="policy.yaml"):
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return to


def problems_of(path):
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_the_seeds_validation_is_a_file_by_itself(write):
    policy = load_policy(write(seed.VALIDATION, "revenue-forecast.yaml"))
    assert policy.model == "revenue-forecast"
    assert policy.validation.bounds == (Bound("f1", minimum=0.88),)
    assert (policy.validation.compare_to, policy.validation.tolerance) == ("production", -0.005)
    assert policy.validation.promote_on_pass == "staging"
    assert [entry.slack for entry in policy.validation.notify_on_fail] == ["#ml-ops-alerts"]
    assert policy.dag_ids == ()
    assert unsupported(policy) == []


def test_the_seeds_monitor_is_a_file_by_itself_and_makes_a_dag_that_watches(write):
    policy = load_policy(write(seed.MONITOR, "anything.yml"))
    assert policy.model == "revenue-forecast"
    assert policy.psi_threshold == 0.10
    assert (policy.makes_monitor_dag, policy.makes_training_dag) == (True, False)
    assert policy.job_dag_id == "revenue-forecast-training-dag"
    assert unsupported(policy) == []


def test_every_key_of_the_contract_is_read():
    policy = load_policy(CONTRACT)
    written = yaml.safe_load(CONTRACT.read_text())
    form = policy.to_json()
    assert set(written) == set(form)
    for section in ("data", "train", "monitor", "validation", "shadow", "promotion", "budget"):
        assert set(written[section]) - set(form[section]) == set(), section
    assert policy.cooldown == timedelta(hours=48)
    assert policy.shadow.mode == "off"
    assert [leaf.type for leaf in policy.trigger.leaves()] == [
        "drift",
        "metric_threshold",
        "data_freshness",
        "new_labeled_rows",
        "schedule",
    ]
    assert policy.notify[0].on == ("promoted", "rolled_back")
    assert Policy.from_json(form, folder=CONTRACT.parent) == policy


def test_what_the_contract_shows_and_this_release_lacks_is_refused_key_by_key():
    places = [line.split(":")[0] for line in unsupported(load_policy(CONTRACT))]
    assert places == [
        "data.filter",
        *["trigger"] * 4,
        "cooldown",
        "budget",
        "notify",
    ]


def test_the_json_schema_describes_the_contract_and_refuses_what_the_models_refuse():
    schema = Policy.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    assert list(check.iter_errors(load_policy(CONTRACT).to_json())) == []
    assert (
        list(check.iter_errors({"validation": {"min_f1": 0.9, "max_rmse": 3}, "trigger": {"any": ["drift"]}}))
        == []
    )
    for wrong in (
        {"validation": {"min_f1": "high"}},
        {"validation": {"mode": "strict"}},
        {"validation": {"f1": 1}},
        {"modle": "x"},
        {"cooldown": 48},
        {"trigger": {"any": ["drfit"]}},
    ):
        assert list(check.iter_errors(wrong)), wrong


def test_the_models_name_defaults_to_the_files(write):
    assert load_policy(write("{}", "flight-time.yaml")).model == "flight-time"
    assert problems_of(write("{}", "flight time.yaml")) == [
        (
            "1:1: model: the file's name 'flight time' is no model name (letters, digits, _ and -); "
            "write `model:`"
        )
    ]


def test_relative_paths_stand_against_the_files_folder(write, tmp_path):
    policy = load_policy(write("data: {source: ../flights}"))
    assert policy.resolve(policy.data.source) == str(tmp_path.parent / "flights")


def test_an_unknown_metric_is_told_with_its_place(write):
    path = write(
        """\
        model: fares
        validation:
          min_acu: 0.9
        """
    )
    assert problems_of(path) == ["3:3: validation.min_acu: unknown metric 'acu'; did you mean 'auc'?"]


def test_all_problems_of_a_file_are_told_from_top_to_bottom(write):
    path = write(
        """\
        modle: fares
        trigger:
          condition: ALL
          rules: ["psi < 1", "psi > 0.1"]
        data:
          label_delay: 3
          source: {conn_id: warehouse, tabel: sales}
        monitor:
          alerts:
            - {channel: slack, target: "#a", on: [drifted]}
        train:
        """
    )
    assert [line.split(": ")[:2] for line in problems_of(path)] == [
        ["1:1", "modle"],
        ["4:11", "trigger.rules[0]"],
        ["6:3", "data.label_delay"],
        ["7:32", "data.source.tabel"],
        ["10:43", "monitor.alerts[0].on[0]"],
        ["11:1", "train"],
    ]


def test_a_key_that_a_dialect_moved_is_told_where_it_was_written(write):
    path = write(
        """\
        policy:
          trigger:
            type: performance
            metric: f1
            threshold: high
        """
    )
    assert problems_of(path) == ["5:5: policy.trigger.threshold: expected a number, found text 'high'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty; expected keys"),
        ("# nothing\n", "1:1: the file is empty; expected keys"),
        ("- a\n- b\n", "1:1: expected a mapping of keys, found a list"),
        ("model: [a\n", "2:1: no valid YAML: while parsing a flow sequence"),
        ("model: a\n---\nmodel: b\n", "2:1: no valid YAML: expected a single document"),
        (
            "model: a\ntags: [x]\nmodel: b\n",
            "3:1: model: stands twice, first in line 1; leave one of them out",
        ),
        ("data:\n  label: a\n  label: b\n", "3:3: data.label: stands twice, first in line 2"),
        ("1: a\n", "1:1: expected text as a key; put it in quotes"),
        (
            "model: !!python/name:os.system\n",
            "1:8: model: the tag tag:yaml.org,2002:python/name:os.system is not read",
        ),
        ("start_date: 2026-02-30\n", "1:13: start_date: '2026-02-30' looks like a date and is none"),
        ("tags: &a [x, *a]\n", "tags[1]: an alias (*) stands inside what it is an alias of"),
        ("monitor:\n", "1:1: monitor: is empty; give it keys, write `monitor: {}` for its defaults"),
        ("model: \x00\n", "1:1: no valid YAML"),
    ],
)
def test_what_is_no_policy_at_all_is_told_with_its_place(write, text, message):
    lines = problems_of(write(text))
    assert len(lines) == 1
    assert message in lines[0]


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"model: \xff\xfe\n")
    assert "no valid YAML" in problems_of(path)[0]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(PolicyError, match=r"gone\.yaml: cannot be read: No such file"):
        load_policy(tmp_path / "gone.yaml")


def test_yamls_traps_are_read_as_they_are_meant(write):
    policy = load_policy(
        write(
            """\
            train: {params: {rate: 1e-3, on: 1, yes: 2}}
            shadow: {mode: off}
            notify:
              - {channel: slack, target: "#a", on: [failed]}
            start_date: 2026-01-01
            """
        )
    )
    assert policy.train.params == {"rate": 0.001, "on": 1, "yes": 2}
    assert policy.shadow.mode == "off"
    assert policy.notify[0].on == ("failed",)
    assert policy.start_date.isoformat() == "2026-01-01T00:00:00+00:00"


def test_anchors_and_merges_are_read_and_keep_their_places(write):
    path = write(
        """\
        data: &data
          label_delay: 1d
          holdout_window: 3d
        monitor:
          methods: {psi: &psi {threshold: 0.2}, js: {<<: *psi, enabled: false}}
        """
    )
    assert load_policy(path).watch.methods.js.threshold == 0.2
    wrong = problems_of(write(path.read_text().replace("0.2", "-1"), "b.yaml"))
    assert [line.split(": ")[:2] for line in wrong] == [
        ["5:24", "monitor.methods.psi.threshold"],
        ["5:24", "monitor.methods.js.threshold"],
    ]


def test_nested_aliases_cannot_hang_the_reader(write):
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    rows += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]"
        for old, new in zip("abcdefg", "bcdefgh", strict=True)
    ]
    lines = problems_of(write("train:\n  params:\n" + "".join(f"    {row}\n" for row in rows)))
    assert any("more than 100000 entries" in line for line in lines)


def test_a_wrong_file_takes_no_other_policy_away(write, tmp_path):
    write("model: c", "c.yaml")
    write("modle: b", "b.yml")
    write("model: a", "a.yaml")
    write("no policy", "notes.txt")
    write("broken: [", ".swap.yaml")
    found = list(load_policies(tmp_path))
    assert [path.name for path, _ in found] == ["a.yaml", "b.yml", "c.yaml"]
    assert [getattr(read, "model", None) for _, read in found] == ["a", None, "c"]
    assert "b.yml:1:1: modle: unknown key; did you mean 'model'?" in str(found[1][1])


def test_of_two_policies_for_one_model_the_second_is_wrong(write, tmp_path):
    first = write("model: fares", "a.yaml")
    second = write("model: fares", "b.yaml")
    read = dict(load_policies(tmp_path))
    assert isinstance(read[first], Policy)
    assert str(read[second]).startswith(f"{second}:1:1: model: {first} already has model 'fares'")


def test_of_two_policies_for_one_dag_the_second_is_wrong(write, tmp_path):
    write("{model: a, train: {}, pipeline: b-training-dag}", "a.yaml")
    second = write("{model: b, train: {}}", "b.yaml")
    assert "already has Dag 'b-training-dag'" in str(dict(load_policies(tmp_path))[second])


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(PolicyError, match="no such folder; expected one that holds a YAML file per model"):
        list(load_policies(tmp_path / "gone"))

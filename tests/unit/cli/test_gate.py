"""`ifp gate`: the validation gate on a file of answers."""

import json
import re
import subprocess
import sys
from html import unescape
from textwrap import dedent

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import seed

from airflow_provider_ifp.cli import main
from airflow_provider_ifp.core.gates.judge import judge
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Measures, Rows
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.loop.gates.judged_file import judge_file

RMSE = """\
    model: flight-time
    validation: {max_rmse: 14}
"""
OWN = """\
def profit(y_true, y_pred, frame):
    print("counting")
    return float(frame["fare"].sum())


profit.better = "higher"
"""
FIRST = "first deployment: no production version to compare with; the absolute gate alone decides"


def labelled(rows=1_000, wrong=0.05, production=0.2, seed=0):
    """A table of 0 and 1 with these shares of wrong answers."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, rows)
    flipped = {
        name: np.where(rng.random(rows) < share, 1 - y_true, y_true)
        for name, share in (("candidate", wrong), ("production", production))
    }
    return pa.table({"y_true": y_true, **flipped})


@pytest.fixture
def ifp(capsys):
    """Runs a command in this process; returns exit code, standard output, standard error."""

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def gate(ifp, tmp_path):
    """Runs `ifp gate` on a table, or on the bytes of a file, by a policy's text."""

    def run(rows, policy=seed.VALIDATION, *words, name="answers.parquet"):
        file, policy_file = tmp_path / name, tmp_path / "revenue-forecast.yaml"
        policy_file.write_text(dedent(policy))
        if isinstance(rows, bytes):
            file.write_bytes(rows)
        elif rows is not None:
            (pacsv.write_csv if name.endswith(".csv") else pq.write_table)(rows, file)
        return ifp("gate", file, "--policy", policy_file, *words)

    return run


def judged(gate, rows, policy=seed.VALIDATION, **named):
    code, printed, _ = gate(rows, policy, "--json", **named)
    return code, json.loads(printed)


@pytest.mark.parametrize("name", ["answers.parquet", "answers.csv"])
def test_the_seeds_gate_passes_a_better_candidate_and_says_why(gate, name):
    code, found = judged(gate, labelled(), name=name)
    assert (code, found["verdict"], found["enforced"], found["gate"]) == (0, "pass", True, "validation")
    assert (found["model"], found["version"], found["compared_to"]) == (
        "revenue-forecast",
        "candidate",
        "production",
    )
    assert re.fullmatch(
        r"f1 0\.9\d+ >= 0\.88 = minimum; f1 0\.9\d+ against production 0\.\d+: better by 0\.\d+",
        found["reason"],
    )
    assert [(check["name"], check["rows"]) for check in found["checks"]] == [
        ("min_f1", 1000),
        ("comparison", 1000),
    ]


def test_a_candidate_under_its_bound_or_worse_than_production_is_refused(gate):
    code, found = judged(gate, labelled(wrong=0.2, production=0.05))
    assert (code, found["verdict"]) == (1, "fail")
    assert re.search(r"f1 0\.\d+ < 0\.88 = minimum; f1 0\.\d+ < 0\.\d+ = production", found["reason"])
    code, found = judged(gate, labelled(wrong=0.09, production=0.05))
    assert (code, [check["verdict"] for check in found["checks"]]) == (1, ["pass", "fail"])


def test_the_seeds_other_policy_judges_nothing_and_so_passes_nobody(gate):
    for rows in (labelled(), labelled().drop_columns("production")):
        code, found = judged(gate, rows, seed.MONITOR)
        assert (code, found["verdict"]) == (1, "inconclusive")


def test_without_production_the_absolute_gate_alone_decides(gate):
    code, found = judged(gate, labelled().drop_columns("production"))
    assert (code, found["verdict"], found["compared_to"]) == (0, "pass", None)
    assert found["reason"].endswith(FIRST)


def test_few_rows_are_inconclusive_and_that_is_no_pass(gate):
    code, found = judged(gate, labelled(rows=499))
    assert (code, found["reason"]) == (1, "499 rows in the holdout, 500 needed")


def test_a_dry_run_stops_nothing_but_what_cannot_be_judged(gate):
    policy = "validation: {min_f1: 0.88, mode: dry_run}"
    code, found = judged(gate, labelled(wrong=0.3), policy)
    assert (code, found["verdict"], found["enforced"]) == (0, "fail", False)
    code, printed, _ = gate(labelled(wrong=0.3), policy)
    assert printed.startswith("revenue-forecast candidate: fail (dry_run: stops nothing): f1 0.7")
    broken = labelled().set_column(1, "candidate", pa.array([None, *[1] * 999]))
    code, found = judged(gate, broken, policy)
    assert (code, found["verdict"], found["enforced"]) == (1, "fail", True)
    assert "1 of 1,000 predictions are NaN" in found["reason"]


def test_a_reader_sees_the_sentence_then_the_checks_then_the_warnings(gate):
    code, printed, messages = gate(labelled(production=0.055))
    sentence, blank, headings, *rest = printed.splitlines()
    assert (code, messages, blank) == (0, "", "")
    assert sentence.startswith("revenue-forecast candidate: pass: f1 0.9")
    assert headings.split() == ["CHECK", "VERDICT", "REASON"]
    assert [line.split()[0] for line in rest] == ["min_f1", "comparison", "warning:"]
    assert "the holdout is too small for the tolerance -0.005" in rest[-1]


def test_a_slice_that_suffers_is_named(gate):
    rows = labelled(rows=4_000, wrong=0.0, production=0.1)
    suffers = np.arange(4_000) % 4 == 0
    answers = np.where(suffers & (np.arange(4_000) % 3 > 0), 1 - rows["y_true"].to_numpy(), rows["y_true"])
    region = pa.array(np.where(suffers, "north", "south")).dictionary_encode()
    rows = rows.set_column(1, "candidate", [answers]).append_column("region", region)
    policy = "validation: {min_accuracy: 0.5, compare_to: production, tolerance: -0.2, slices: [region]}"
    code, found = judged(gate, rows, policy)
    assert code == 1
    assert [(check["slice"], check["verdict"]) for check in found["checks"]] == [
        (None, "pass"),
        (None, "pass"),
        ("region=north", "fail"),
        ("region=south", "pass"),
    ]


def test_an_own_metric_sees_every_column_and_what_it_prints_is_no_result(gate, tmp_path, monkeypatch):
    (tmp_path / "own_of_gate.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    rows = labelled().append_column("fare", [np.full(1_000, 2.0)])
    policy = "validation: {min_profit: 10, metrics: {profit: own_of_gate:profit}, compare_to: none}"
    code, printed, messages = gate(rows, policy, "--json")
    found = json.loads(printed)
    assert (code, found["checks"][0]["value"], messages) == (0, 2000.0, "counting\n")


def test_the_page_is_written(gate, tmp_path):
    page = tmp_path / "verdict.html"
    assert gate(labelled(), seed.VALIDATION, "--report", page)[0] == 0
    text = unescape(re.sub(r"<[^>]+>", "", page.read_text()))
    assert "Candidate of revenue-forecast passes: f1 0.9" in text
    assert "held against production's answers" in text
    code, _, messages = gate(labelled(), seed.VALIDATION, "--report", tmp_path)
    assert (code, messages) == (2, f"ifp: {tmp_path} cannot be written: Is a directory; name another file\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("y_true,candidate\n1,1\n,1\n", "1 of 2 labels are NaN"),
        ("y_true,candidate\n1,1\n0,nan\n", "1 of 2 predictions are NaN"),
        ("y_true,candidate\nyes,yes\n,yes\n", "1 of 2 labels are missing"),
        ("y_true,candidate\nyes,yes\nno,\n", "1 of 2 predictions are missing"),
        ("y_true,candidate,candidate_score\n1,1,nan\n0,0,nan\n", "2 of 2 scores are missing"),
        ("y_true,candidate\n,\n,\n", "2 of 2 labels are missing; 2 of 2 predictions are missing"),
        ("y_true,candidate\n1,yes\n0,no\n", "the labels are numbers, but the predictions are text"),
        ("y_true,candidate,candidate_score\n1,1,\n0,0,0.1\n", "1 of 2 scores are NaN"),
        ("y_true,candidate\n1,1\n1,1\n", "f1 needs both classes, but all 2 labels are positive"),
        ("y_true,candidate,production\n1,1,\n0,0,0\n", "production's answers cannot be compared with"),
    ],
)
def test_what_cannot_be_judged_does_not_pass(gate, text, reason):
    policy = "validation: {min_f1: 0, min_rows: 1}"
    code, found = judged(gate, text.encode(), policy, name="answers.csv")
    assert code == 1
    assert found["verdict"] != "pass"
    assert reason in found["reason"]


def test_text_where_numbers_are_does_not_pass(gate):
    rows = b"y_true,candidate\n1.5,2.5\n2.5,three\n"
    code, found = judged(gate, rows, "validation: {max_rmse: 9, min_rows: 1}", name="answers.csv")
    assert (code, found["verdict"]) == (1, "fail")
    assert found["checks"][0]["reason"] == "rmse needs numbers, but the predictions are text (such as '2.5')"


def test_a_number_far_down_in_a_csv_file_decides_its_type(gate):
    rows = b"y_true,candidate\n" + b"1,1\n" * 600_000 + b"1.5,1.5\n"
    code, found = judged(gate, rows, RMSE, name="answers.csv")
    assert (code, found["checks"][0]["rows"]) == (0, 600_001)


SCORED = "validation: {min_auc: 0.7, min_rows: 1}"
PAIRS = {"y_true": [0, 1], "candidate": [0, 1]}


@pytest.mark.parametrize(
    ("rows", "policy", "message"),
    [
        (None, RMSE, "no such file or folder"),
        (b"", RMSE, "cannot be read as parquet"),
        (b"PAR1 and then nothing", RMSE, "cannot be read as parquet"),
        (pa.table({name: pa.array([], "int64") for name in PAIRS}), RMSE, "holds no row"),
        (
            pa.table({"y_true": [1], "answer": [1]}),
            RMSE,
            "lacks the column 'candidate'. Columns are: ",
        ),
        (
            pa.table({"Y_true": [1], "answer": [1]}),
            RMSE,
            "lacks the column 'y_true' (did you mean 'Y_true'?), and the column 'candidate'.",
        ),
        (
            pa.table(PAIRS),
            SCORED,
            "lacks the column 'candidate_score' (auc needs the score, the probability of the positive class)",
        ),
        (
            pa.table(PAIRS | {"production": [0, 1], "candidate_score": [0.1, 0.9]}),
            SCORED,
            "lacks the column 'production_score' (auc is compared).",
        ),
        (
            pa.table(PAIRS),
            "validation: {min_recall_at_threshold_0.3: 0.5}",
            "lacks the column 'candidate_score' (recall_at_threshold_0.3 needs",
        ),
        (pa.table(PAIRS | {"Production ": [0, 1]}), RMSE, "'production' (did you mean 'Production '?)"),
        (pa.table(PAIRS | {"production_score": [0.1, 0.9]}), RMSE, "lacks the column 'production'."),
        (
            pa.table(PAIRS | {"regions": ["a", "b"]}),
            "validation: {max_rmse: 1, slices: [region]}",
            "lacks the column 'region' (validation.slices; did you mean 'regions'?)",
        ),
        (pa.table(PAIRS | {"candidate": [[0], [1]]}), RMSE, "column 'candidate' is list<"),
        (
            pa.table(PAIRS | {"y_true": pa.array([0, 1], pa.timestamp("s"))}),
            RMSE,
            "column 'y_true' is timestamp[ms]; expected numbers, booleans or text",
        ),
        (
            pa.table([[0, 1], [1, 1], [1, 0]], ["y_true", "candidate", "candidate"]),
            RMSE,
            "columns that are there twice: 'candidate'",
        ),
    ],
)
def test_a_file_that_cannot_be_judged_is_wrong_input(gate, tmp_path, rows, policy, message):
    code, printed, messages = gate(rows, policy)
    assert (code, printed) == (2, "")
    assert messages.startswith(f"ifp: {tmp_path}/answers.parquet: ")
    assert message in messages
    assert messages.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as csv: Empty CSV file"),
        (b"y_true,candidate\n", "holds no row"),
        (b"y_true,candidate\n1,1\n2\n", "cannot be read as csv: CSV parse error"),
        (b"y_true;candidate\n1;1\n", "lacks the column 'y_true'"),
        (b"\x89PNG\x00\xff\xfe", "answers.csv"),
    ],
)
def test_a_csv_file_that_cannot_be_judged_is_wrong_input(gate, content, message):
    code, printed, messages = gate(content, RMSE, name="answers.csv")
    assert (code, printed, messages.count("\n")) == (2, "", 1)
    assert message in messages


def test_other_files_and_wrong_policies_are_wrong_input(gate, ifp, tmp_path):
    assert gate(b"text", RMSE, name="answers.txt")[0] == 2
    code, _, messages = gate(labelled(), "validation: {min_acu: 1}")
    assert code == 2
    assert "unknown metric 'acu'; did you mean 'auc'?" in messages
    assert ifp("gate", tmp_path / "answers.txt", "--policy", tmp_path / "none.yaml")[0] == 2
    with pytest.raises(SystemExit, match="2"):
        ifp("gate", tmp_path / "answers.txt")


def test_several_files_are_one_and_must_fit_together(gate, ifp, tmp_path):
    gate(labelled())
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(labelled(seed=1), folder / "a.parquet")
    pq.write_table(labelled(seed=2), folder / "b.parquet")
    policy = tmp_path / "revenue-forecast.yaml"
    _, printed, _ = ifp("gate", folder, "--policy", policy, "--json")
    assert json.loads(printed)["checks"][0]["rows"] == 2000
    pq.write_table(pa.table({"y_true": ["yes"], "candidate": ["no"], "production": ["no"]}), folder / "c.pq")
    code, _, messages = ifp("gate", folder, "--policy", policy)
    assert code == 2
    assert "the files do not fit together" in messages


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_gets_the_verdict_that_its_arrays_get(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 60), "rows")
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000), "seed"))
    metric = data.draw(st.sampled_from(["accuracy", "f1", "auc", "log_loss", "rmse", "mae"]), "metric")
    label = rng.integers(0, 2, rows)
    columns = {"y_true": label}
    answers = {}
    for who in ("candidate", "production"):
        score = np.clip(label * 0.3 + rng.random(rows) * data.draw(st.sampled_from([0.7, 1.0])), 0, 1)
        prediction = (score > 0.5).astype(int)
        if data.draw(st.booleans(), "broken"):
            # But for the first: a CSV's column of nothing but NaN has no type, and counts as missing.
            score[1:][rng.random(rows - 1) < 0.05] = np.nan
        answers[who] = Answers(prediction, score)
        columns |= {who: prediction, f"{who}_score": score}
    if data.draw(st.booleans(), "first"):
        answers["production"] = None
        columns = {name: values for name, values in columns.items() if not name.startswith("production")}
    region = rng.choice(["north", "south"], rows)
    end = data.draw(st.sampled_from(["min", "max"]))
    policy = Policy.from_json(
        {
            "model": "m",
            "validation": {
                f"{end}_{metric}": data.draw(st.sampled_from([0.1, 0.5, 0.9])),
                "tolerance": data.draw(st.sampled_from([-0.2, 0.0, 0.1])),
                "confidence": data.draw(st.sampled_from([None, 0.9])),
                "mode": data.draw(st.sampled_from(["enforce", "dry_run"])),
                "compare_to": data.draw(st.sampled_from(["production", "none"])),
                "min_rows": 20,
                "slice_min_rows": 10,
                "slices": ["region"],
            },
        }
    )
    is_csv = data.draw(st.booleans(), "csv")
    file = tmp_path_factory.mktemp("gate") / f"answers.{'csv' if is_csv else 'parquet'}"
    table = pa.table(columns | {"region": region})
    (pacsv.write_csv if is_csv else pq.write_table)(table, file)
    found, _ = judge_file(policy, str(file))
    expected = judge(
        Rows(label=label, candidate=answers["candidate"], production=answers["production"]),
        policy.validation,
        Subject(
            model="m",
            version="candidate",
            content_digest="unrecorded",
            compared_to=answers["production"] and "production",
            holdout_digest=found.holdout_digest,
            policy_digest=policy.digest(),
        ),
        Measures(positive=policy.data.positive),
        slices={"region": region},
    )
    assert found == expected


def test_the_digest_is_of_the_rows_not_of_what_was_answered(gate):
    first, second, other = (
        judged(gate, labelled(**named))[1]["holdout_digest"] for named in ({}, {"wrong": 0.5}, {"seed": 1})
    )
    assert first == second != other


def test_it_loads_neither_mlflow_nor_torch_nor_airflow(gate, tmp_path):
    gate(labelled())
    words = ["gate", str(tmp_path / "answers.parquet"), "--policy", str(tmp_path / "revenue-forecast.yaml")]
    code = (
        "import sys; from airflow_provider_ifp.cli import main; "
        f"assert main({words!r}) == 0; sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "pyarrow" in loaded
    assert loaded & {"mlflow", "torch", "airflow", "scipy", "sqlalchemy", "requests"} == set()

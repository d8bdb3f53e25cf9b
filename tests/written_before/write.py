"""What lies beside this was written by commit cbf2ea4, before modules moved; who reads it answers alike.

    git checkout cbf2ea4
    .venv/bin/python tests/written_before/write.py     # a minute; replaces what it wrote before

    registry.sql, artifacts/   an MLflow server's database and its artifacts, which name no folder of a disk
    data/, policy.yaml         what versions 1 and 2 of `demand` were trained on; priced.py made version 3
    reference.parquet, current.parquet, profile.json    datasets, and what `ifp profile` wrote of the first
    predictions.csv            what `ifp gate` judges
    log/                       a prediction log as `ifp serve` wrote it, an hour compacted; labels by hand
    counts/                    what a check of the log left in `[ifp] cache_folder`
    serving/                   what `ifp serve --cache` left, and the spool of one that was killed
    expected.json              what that commit said of all this

A key of the count cache has in it a file's path and its time of change. So the log is named by
`/proc/self/cwd/log`, which is its path wherever a process works in the folder, and all its files have one
time, which git does not keep: a reader sets it. A spool and a version's provenance hold paths too. The
serving cache has a folder for each registry's address, so that one is fixed; a reader finds nobody there.

The database is a dump in text: 54 kB, of which git stores 8, and a change of it can be read.
"""

import asyncio
import io
import json
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import requests

import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.launchers import LocalLauncher
from airflow_provider_ifp.adapters.mlflow_registry import MlflowRegistry
from airflow_provider_ifp.adapters.policy_files import load_policy
from airflow_provider_ifp.core.moves import Attempt
from airflow_provider_ifp.demo.services import free_port, own_environment, running_services
from airflow_provider_ifp.demo.stack import start_mlflow
from airflow_provider_ifp.loop.train import Order, train
from airflow_provider_ifp.loop.validate import validate

HERE = Path(__file__).parent
COMMIT = "cbf2ea4"
PORT = 5099
SPOOLED = "/proc/self/cwd/spooled"
REGISTRY = f"http://127.0.0.1:{PORT}"
MODEL = "demand"
NOW = datetime(2024, 2, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
CHANGED_NS = int(LATER.timestamp()) * 10**9
HOURS = (3, 9, 15, 21)
ROWS = 30
ASKED = [
    {"x": 0.5, "z": -1.0, "region": "north"},
    {"x": -2.0, "z": 0.3, "region": "south"},
    {"x": 1.1, "z": 2.0, "region": "north"},
]
COMMANDS = [
    "digest data",
    "digest reference.parquet",
    "profile reference.parquet -o again.json",
    "drift --reference profile.json --current current.parquet --method psi,ks_test,wasserstein,js,chi2",
    "drift --reference profile.json --current current.parquet --correction none --fail-on-drift",
    "policy show policy.yaml",
    "gate predictions.csv --policy policy.yaml",
    "versions demand",
    "show demand 1",
    "show demand 2",
    "show demand 3",
    "show demand @production 2",
    "history demand",
    "history demand --at 2999-01-01",
    "verify demand @production",
    "verify demand 2",
    "verify demand 3",
    "audit demand",
    "log compact spare",
]
KEPT = (
    *("artifacts", "data", "log", "counts", "serving", "registry.sql", "profile.json", "expected.json"),
    *("reference.parquet", "current.parquet", "predictions.csv"),
)


def main(work: Path) -> None:
    for name in ("policy.yaml", "demand.py", "priced.py"):
        shutil.copy(HERE / name, work)
    os.chdir(work)
    os.environ |= {"MLFLOW_TRACKING_URI": REGISTRY, "AIRFLOW_HOME": str(work / "airflow")}
    os.environ |= {"AIRFLOW__IFP__CACHE_FOLDER": str(work / "cache")}
    os.environ["AIRFLOW_CONN_IFP_DEFAULT"] = json.dumps({"conn_type": "ifp_registry", "host": REGISTRY})
    write_datasets()
    command("profile reference.parquet -o profile.json")
    with running_services(work / "logs") as services:
        start_mlflow(services, work / "server", PORT)
        fill_registry(work)
        serve(services)
        served = serve_until_killed(services)
        write_labels()
        command("log compact log")
        for path in Path("log").rglob("*.parquet"):
            os.utime(path, ns=(CHANGED_NS, CHANGED_NS))
        shutil.copytree("log", "spare")
        expected = {
            "commit": COMMIT,
            "registry": REGISTRY,
            "changed_ns": CHANGED_NS,
            "spooled": SPOOLED,
            "asked": ASKED,
            "served": served,
            **answers(),
        }
    shutil.copytree("cache/counts", "counts")
    # Pages are for people; nothing reads them again.
    shutil.copytree("server/artifacts", "artifacts", ignore=shutil.ignore_patterns("*.html"))
    with sqlite3.connect("server/mlflow.db") as database:
        Path("registry.sql").write_text("\n".join(database.iterdump()) + "\n")
    Path("expected.json").write_text(lines(expected))
    for name in KEPT:
        old = HERE / name
        (shutil.rmtree if old.is_dir() else Path.unlink)(old) if old.exists() else None
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, old)


def command(words: str) -> tuple[int, str]:
    """Run `ifp` here; returns its exit code and what it printed."""
    done = subprocess.run(
        [Path(sys.executable).with_name("ifp"), *words.split()],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"USER": "somebody", "LOGNAME": "somebody"},
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"ifp {words}: {done.stderr}")
    return done.returncode, done.stdout


def draw(seed: int, count: int, shift: float = 0.0) -> dict[str, list]:
    """Rows of a small world: y = 1 + 3 x - z + 2 (region is north) + noise; one place after the point."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(shift, 1, count).round(1), rng.normal(0, 1, count).round(1)
    region = rng.choice(["north", "south"], count, p=[0.3, 0.7])
    y = (1 + 3 * x - z + 2 * (region == "north") + rng.normal(0, 0.5, count)).round(1)
    return {"x": x.tolist(), "z": z.tolist(), "region": region.tolist(), "y": y.tolist()}


def write_datasets() -> None:
    count = 25 * 24
    start = NOW - timedelta(hours=count)
    times = pa.array([start + timedelta(hours=row) for row in range(count)], pa.timestamp("us", "UTC"))
    Path("data").mkdir()
    rows = {"ts": times, "request_id": [f"t{row}" for row in range(count)], **draw(1, count)}
    pq.write_table(pa.table(rows), "data/rows.parquet")
    for name, seed, shift in (("reference", 2, 0.0), ("current", 3, 0.4)):
        pq.write_table(pa.table(draw(seed, 400, shift)).drop_columns("y"), f"{name}.parquet")
    truth = np.array(draw(4, 60)["y"])
    near = pd.DataFrame({"y_true": truth, "candidate": truth + 0.25, "production": truth - 0.5})
    near.to_csv("predictions.csv", index=False)


def fill_registry(work: Path) -> None:
    """Two versions by the loop, judged, promoted, and one rolled back; one by `ifp.track`; a baseline."""
    registry, policy = MlflowRegistry(REGISTRY), load_policy(work / "policy.yaml")
    for version, params in (("1", {}), ("2", {"scale": 1.01})):
        order = Order(
            policy=policy,
            now=NOW,
            params=params,
            work=work / "work",
            checkpoints=work / "checkpoints",
            owner=version,
            nonce=uuid.uuid4().hex,
        )
        made = train(registry, order, LocalLauncher())
        if made["version"] != version:
            raise RuntimeError(f"expected version {version}, found {made}")
        attempt = Attempt(actor="somebody", time=NOW.isoformat(), nonce=uuid.uuid4().hex)
        verdict = validate(registry, policy, version, now=NOW, attempt=attempt)
        if verdict.verdict != "pass":
            raise RuntimeError(verdict.reason)
        for stage in ("staging", "production"):
            command(f"promote demand {version} --to {stage} --reason it-passed")
    command("rollback demand --reason it-was-slow")
    subprocess.run([sys.executable, "priced.py"], check=True)
    ifp.monitor("fares").set_baseline("reference.parquet", window_label="2024-Q1", freeze=True)


def serve(services) -> None:
    """Have `ifp serve` answer two days of requests, and log them."""
    server, ask = start_server(services, "serve", "--log", "log", "--roll", "0.5")
    for name, at in requests_of_the_log():
        records = pd.DataFrame(draw(sum(name.encode()), ROWS, 0.8)).drop(columns="y").to_dict("records")
        ask(records, **{"x-request-id": name, "x-request-time": at.isoformat()})
        if name.startswith("early"):
            services.wait_until(lambda: any(Path("log").rglob("*.parquet")), what="its file", seconds=30)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    services.started.remove(server)


def requests_of_the_log():
    """Name and time of each request; the first hour has two, in two files, so that it can be compacted."""
    yield "early-03", NOW + timedelta(hours=3, minutes=5)
    for day in range(2):
        for hour in HOURS:
            yield f"day{day}-{hour:02}", NOW + timedelta(days=day, hours=hour, minutes=30)


def serve_until_killed(services) -> list:
    """Ask a server that keeps what it logs in its spool, and kill all its processes; returns its answers."""
    server, ask = start_server(services, "killed", "--log", SPOOLED, "--roll", "3600")
    answered = ask(ASKED, **{"x-request-id": "last", "x-request-time": LATER.isoformat()})
    time.sleep(2)
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(True)]
    for process in processes:
        process.suspend()  # or else one would tidy up after the other
    for process in processes:
        process.kill()
    server.process.wait(60)
    services.started.remove(server)
    return answered


def start_server(services, name, *options):
    """Start `ifp serve`; returns its process, and what asks it."""
    url = f"http://127.0.0.1:{free_port()}"
    command = ("serve", MODEL, "--port", url.rpartition(":")[2], "--tracking-uri", REGISTRY)
    more = ("--cache", "serving", "--trust-request-time", *options)
    server = services.start(name, ["-m", "airflow_provider_ifp", *command, *more], own_environment())
    services.wait_until(lambda: requests.get(f"{url}/ping", timeout=5).ok, what="the server", seconds=60)

    def ask(records, **headers):
        body = {"dataframe_records": records}
        reply = requests.post(f"{url}/invocations", json=body, headers=headers, timeout=30)
        reply.raise_for_status()
        return reply.json()["predictions"]

    return server, ask


def write_labels() -> None:
    """What was true of most answers, as the contract's section 5 has it."""
    rng = random.Random(5)
    for day in range(2):
        rows = []
        for path in sorted(Path("log").rglob(f"date=2024-02-0{1 + day}/hour=*/*.parquet")):
            for row in pq.ParquetFile(path).read().to_pylist():
                label = round(row["prediction"] + rng.gauss(0.2, 0.6), 1)
                named = {name: row[name] for name in ("request_id", "row", "ts")}
                rows.append({**named, "label": label, "label_ts": LATER})
        folder = Path(f"log/model={MODEL}/labels/date=2024-02-0{1 + day}")
        folder.mkdir(parents=True)
        us = pa.timestamp("us", "UTC")
        kinds = {
            "request_id": pa.string(),
            "row": pa.int32(),
            "ts": us,
            "label": pa.float64(),
            "label_ts": us,
        }
        pq.write_table(pa.Table.from_pylist(rows[:-7], pa.schema(kinds)), folder / "part-0.parquet")


def answers() -> dict:
    """What this commit says of what was written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401

        frame = pd.DataFrame(ASKED)
        loaded = {
            version: ifp.load(MODEL, version).predict(frame)["prediction"].tolist()
            for version in ("@production", "1", "2", "3")
        }
        watched = ifp.monitor("fares")
        baseline = watched.baseline
        held = watched.check("current.parquet")
        path, arguments, result = drift_task()
    said = []
    for words in COMMANDS:
        code, out = command(f"{words} --json")
        said.append({"words": words, "code": code, "answer": json.loads(out)})
    return {
        "commands": said,
        "loaded": loaded,
        "named_by_pickle": named_by_pickle(),
        "baseline": {"label": baseline.label, "frozen": baseline.frozen, "digest": baseline.digest},
        "baseline_check": held.to_json(),
        "trigger": {"path": path, "arguments": arguments, "result": result},
    }


def drift_task() -> tuple[str, dict, dict]:
    """Write a trigger down as Airflow does, and let it check the log; the report's address is left out."""
    from airflow_provider_ifp.triggers.drift import DriftTrigger

    policy = json.loads(command("policy show policy.yaml --json")[1])
    trigger = DriftTrigger(
        policy=policy,
        folder="/proc/self/cwd",
        now=LATER.isoformat(),
        predictions=None,
        registry_conn_id="ifp_default",
        force=False,
        reason="",
        wait=False,
        poke_interval=60.0,
    )
    payload = asyncio.run(anext(trigger.run())).payload
    result = {key: value for key, value in payload["result"].items() if key != "report"}
    return *trigger.serialize(), result


def named_by_pickle() -> list[str]:
    """`module.name` of all of ours that the pickle of version 3 names."""
    named = set()

    class Noting(pickle.Unpickler):
        def find_class(self, module, name):
            named.add(f"{module}.{name}")
            return super().find_class(module, name)

    for path in Path("server/artifacts").rglob("model.pkl"):
        Noting(io.BytesIO(path.read_bytes())).load()
    return sorted(name for name in named if name.startswith("airflow_provider_ifp."))


def lines(expected: dict) -> str:
    """JSON with a line for each answer."""
    said = expected.pop("commands")
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items()]
    listed = ",\n".join(f"  {json.dumps(one)}" for one in said)
    return "{\n" + ",\n".join([*parts, f'"commands": [\n{listed}\n]']) + "\n}\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="written-before-") as folder:
        main(Path(folder))

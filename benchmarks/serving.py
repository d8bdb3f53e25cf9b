"""`ifp serve` beside other servers, on loopback: throughput, a swap, mirroring, memory.

    python benchmarks/serving.py [throughput] [swap] [mirror] [memory]

One machine for client and servers, in one run. Requests a second and core: requests answered by the CPU
seconds of all of a server's processes, while 64 connections ask as fast as they are answered. The floor is
uvicorn with httptools answering a constant: what HTTP alone costs here.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import requests

from airflow_provider_ifp.adapters.launch.process_tree import end_trees
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.registry.moves import Attempt
from airflow_provider_ifp.demo.services import free_port, own_environment, running_services
from airflow_provider_ifp.demo.stack import start_mlflow
from airflow_provider_ifp.loop.registry.move import promote
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register
from airflow_provider_ifp.training.signature import feature_signature
from environments import make_environment
from small_mlp import small_mlp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_ifp.demo.services import Service, Services

NAMES = [f"f{number}" for number in range(10)]
BODY = {"dataframe_split": {"columns": NAMES, "data": [[number / 10 for number in range(10)]]}}
LOAD = Path(__file__).with_name("http_load.py")
FLOOR = """
import uvicorn
async def app(scope, receive, send):
    await receive()
    head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=%d, http="httptools", loop="uvloop", lifespan="off", access_log=False)
"""
MEGABYTE = 1 << 20
PEERS = {
    "LitServe": ["litserve==0.2.19", "torch==2.13.0", "numpy"],
    "BentoML": ["bentoml==1.4.40", "torch==2.13.0", "numpy"],
}
# For peers: `mlflow models serve` starts the uvicorn that it finds on PATH, and torch's threads, which on one
# row only wait for each other, would make it slower still.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "BENTOML_DO_NOT_TRACK": "True",
}


class Bench:
    """A registry with one model, and the servers that are measured."""

    def __init__(self, services: Services, folder: Path, uri: str) -> None:
        self.services, self.folder, self.uri = services, folder, uri
        self.registry = MlflowRegistry(uri)
        self.body = folder / "body.json"
        self.body.write_text(json.dumps(BODY))

    def add(self, model: str, trained: Any) -> tuple[str, Path]:
        """Register a version; returns its number, and its folder here."""
        folder = self.folder / uuid.uuid4().hex
        schema = pa.schema([(name, pa.float64()) for name in NAMES])
        save_model(trained, folder, features=NAMES, signature=feature_signature(schema, NAMES))
        run = self.registry.start_run(model, name="a training", tags={"ifp.model": model})
        nonce = uuid.uuid4().hex
        made = register(
            self.registry, Registration(model=model, run_id=run, folder=folder, provenance={}, nonce=nonce)
        )
        return made.version, folder

    def promote(self, model: str, version: str, stage: str) -> None:
        """Move it there, past the gates."""
        for target in dict.fromkeys(["staging", stage]):
            now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            attempt = Attempt(actor="bench", time=now, nonce=uuid.uuid4().hex, by="person", reason="bench")
            promote(self.registry, model, version, target, attempt=attempt, override="bench")

    @contextmanager
    def serving(self, model: str, *options: str) -> Iterator[tuple[str, Service]]:
        """`ifp serve` while the block runs."""
        port = free_port()
        command = ["-m", "airflow_provider_ifp", "serve", model, "--port", str(port)]
        more = ["--tracking-uri", self.uri, "--poll", "0.5", "--cache", str(self.folder / "cache"), *options]
        with self.started([*command, *more], port) as service:
            yield f"http://127.0.0.1:{port}", service

    @contextmanager
    def started(self, command: list[str], port: int, path: str = "/ping") -> Iterator[Service]:
        """A server while the block runs."""
        service = self.services.start(f"server-{port}", command, own_environment(**ENVIRONMENT))
        url = f"http://127.0.0.1:{port}{path}"
        self.services.wait_until(lambda: requests.get(url, timeout=5).ok, what=url, seconds=300)
        yield service
        end_trees(service.process.pid)
        service.process.wait()
        self.services.started.remove(service)

    def load(
        self, kind: str, url: str, first: float, second: float, body: Path | None = None
    ) -> dict[str, Any]:
        """What a client of its own process saw."""
        told = [f"{url}/invocations", body or self.body, str(first), str(second)]
        command = [sys.executable, LOAD, kind, *told]
        done = subprocess.run(command, check=True, capture_output=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def processes(service: Service) -> list[psutil.Process]:
    """A server's processes."""
    root = psutil.Process(service.process.pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(service: Service) -> float:
    """What all of a server's processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes(service))


def memory(service: Service) -> float:
    """Megabytes of all of a server's processes, what they share counted once."""
    return sum(process.memory_full_info().pss for process in processes(service)) / MEGABYTE


def throughput(bench: Bench) -> None:
    """One-row requests a second and core."""
    version, folder = bench.add("mlp", small_mlp(0))
    bench.promote("mlp", version, "production")
    rates = {}
    port = free_port()
    with bench.started(["-c", FLOOR % port], port) as service:
        rates["uvicorn, a constant"] = rate(bench, service, f"http://127.0.0.1:{port}")
    with bench.serving("mlp") as (url, service):
        rates["ifp serve"] = rate(bench, service, url)
    with bench.serving("mlp", "--log", str(bench.folder / "log")) as (url, service):
        rates["ifp serve --log"] = rate(bench, service, url)
    port = free_port()
    command = [
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(folder),
        "-p",
        str(port),
        "--env-manager",
        "local",
    ]
    with bench.started(command, port) as service:
        rates["mlflow models serve"] = rate(bench, service, f"http://127.0.0.1:{port}")
    rates |= {peer: rate_of_peer(bench, peer, packages) for peer, packages in PEERS.items()}
    for name, (a_second, a_core) in rates.items():
        times = a_core / rates["mlflow models serve"][1]
        print(
            f"{name:22} {a_second:8,.0f} a second {a_core:8,.0f} a second and core {times:6.1f} times mlflow"
        )


def rate_of_peer(bench: Bench, peer: str, packages: list[str]) -> tuple[float, float]:
    """As `rate`, of a server in an environment of its own."""
    python = make_environment(bench.folder, peer, packages)
    port, here = free_port(), Path(__file__).parent
    body = bench.folder / f"{peer}.json"
    body.write_text(json.dumps({"rows": BODY["dataframe_split"]["data"]} if peer == "BentoML" else BODY))
    command = {
        "LitServe": [python, here / "peer_litserve.py", port],
        "BentoML": [
            *(python.with_name("bentoml"), "serve", "peer_bentoml:Mlp", "--working-dir", here, "--port", port)
        ],
    }[peer]
    become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    ready = {"LitServe": "/ping", "BentoML": "/livez"}[peer]
    with bench.started(["-c", become, *map(str, command)], port, ready) as service:
        return rate(bench, service, f"http://127.0.0.1:{port}", body)


def rate(bench: Bench, service: Service, url: str, body: Path | None = None) -> tuple[float, float]:
    """Requests a second, and a second and core: the better of two runs, after one that is not counted."""
    bench.load("closed", url, 2, 64, body)
    best = 0.0, 0.0
    for _ in range(2):
        before = cpu_seconds(service)
        found = bench.load("closed", url, 5, 64, body)
        if found["failed"]:
            raise SystemExit(f"{url}: {found['failed']} of {found['requests']} requests failed")
        used = cpu_seconds(service) - before
        best = max(
            best, (found["requests"] / found["seconds"], found["requests"] / used), key=lambda one: one[1]
        )
    return best


def swap(bench: Bench) -> None:
    """10,000 requests, 500 a second, and the alias moves meanwhile."""
    first, _ = bench.add("swapped", small_mlp(0))
    second, _ = bench.add("swapped", small_mlp(1))
    bench.promote("swapped", first, "production")
    with bench.serving("swapped", "--log", str(bench.folder / "log")) as (url, _):
        bench.load("open", url, 1000, 500)
        timer = threading.Timer(8.0, bench.promote, ["swapped", second, "production"])
        timer.start()
        found = bench.load("open", url, 10_000, 500)
        timer.join()
    moved = found["versions"].index(second)
    latencies = [latency if latency is not None else np.inf for latency in found["latencies"]]
    before, during = latencies[1000:3500], latencies[max(0, moved - 1500) : moved + 500]
    print(f"{found['failed']} of {found['requests']:,} failed; from request {moved:,} on the new one answers")
    for name, part in [("before", before), ("the 3 s to the swap and 1 s after", during)]:
        p50, p99 = np.percentile(part, [50, 99])
        print(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f}, max {max(part):.1f}")


def mirror(bench: Bench) -> None:
    """What mirroring adds to the median, in turns: three times without, three times with a shadow."""
    first, _ = bench.add("mirrored", small_mlp(0))
    second, _ = bench.add("mirrored", small_mlp(1))
    bench.promote("mirrored", first, "production")
    bench.promote("mirrored", second, "shadow")
    medians: dict[str, list[float]] = {"without": [], "with": []}
    log = ["--log", str(bench.folder / "log")]
    with (
        bench.serving("mirrored", *log) as (plain, _),
        bench.serving("mirrored", "--mirror", *log) as (both, _),
    ):
        bench.services.wait_until(
            lambda: requests.get(f"{both}/version", timeout=5).json()["stages"]["shadow"] == second,
            what="the shadow", seconds=60,
        )  # fmt: skip
        for _ in range(4):
            for name, url in [("without", plain), ("with", both)]:
                found = bench.load("open", url, 600, 200)
                medians[name].append(statistics.median(filter(None, found["latencies"])))
        told = requests.get(f"{both}/metrics", timeout=5).text.splitlines()
    print({name: [round(one, 2) for one in ones] for name, ones in medians.items()})
    added = statistics.median(medians["with"]) - statistics.median(medians["without"])
    print(f"mirroring adds {added:.2f} ms to the median at 200 a second")
    print([line for line in told if line.startswith("ifp_mirrored_requests_total")])


def heavy(size: int, factor: float) -> Any:
    """A model of so many bytes; a class made here is pickled whole."""

    class Heavy:
        def __init__(self) -> None:
            self.weights = np.random.default_rng(0).random(size // 8) * factor

        def predict(self, frame: Any) -> Any:
            return frame["f0"] * self.weights[0]

    return Heavy()


def swaps_in_memory(bench: Bench) -> None:
    """20 swaps between two versions of 200 MB."""
    versions = [bench.add("heavy", heavy(200 * MEGABYTE, factor))[0] for factor in (1.0, 2.0)]
    bench.promote("heavy", versions[0], "production")
    with bench.serving("heavy") as (url, service):
        used = []
        for turn in range(1, 21):
            wanted = versions[turn % 2]
            bench.promote("heavy", wanted, "production")
            bench.services.wait_until(
                lambda wanted=wanted: requests.get(f"{url}/version", timeout=5).json()["version"] == wanted,
                what="the swap", seconds=120,
            )  # fmt: skip
            time.sleep(1.0)
            used.append(memory(service))
    print(f"all processes, MB after each of 20 swaps: {[round(one) for one in used]}")


PARTS = {"throughput": throughput, "swap": swap, "mirror": mirror, "memory": swaps_in_memory}


def main(chosen: list[str]) -> None:
    """Measure the parts that were asked for, or all."""
    warnings.simplefilter("ignore")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    folder = Path(tempfile.mkdtemp(prefix="serving-bench-"))
    with running_services(folder / "logs") as services:
        bench = Bench(services, folder, start_mlflow(services, folder / "mlflow"))
        for name in chosen or PARTS:
            print(f"\n{name} (load of the machine before: {os.getloadavg()[0]:.1f})", flush=True)
            PARTS[name](bench)


if __name__ == "__main__":
    main(sys.argv[1:])

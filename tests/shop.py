"""A real `ifp serve`, a proxy that can take its registry away, and models with bad habits."""

import json
import signal
import socket
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import requests

from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.registry.moves import Attempt
from airflow_provider_ifp.demo.services import free_port, own_environment
from airflow_provider_ifp.loop.registry.move import promote, roll_back
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register
from airflow_provider_ifp.training.signature import feature_signature

FEATURES = pa.schema([("price", pa.float64()), ("count", pa.int64()), ("kind", pa.string())])
SOLD = pa.table(
    {"price": [n / 2 for n in range(100)], "count": range(100), "kind": ["a", "b"] * 50}, schema=FEATURES
)
RAISES, DIES, SLEEPS = -1.0, -2.0, -3.0
"""Prices at which the model raises, ends its process, or takes half a second."""


def habitual(factor, kills=""):
    """A model that answers price x factor, and has a score; a class made here is pickled whole."""

    class Habitual:
        def predict(self, frame):
            import os
            import time
            from pathlib import Path

            import pandas as pd

            prices = frame["price"]
            if (prices == -1.0).any():
                raise ValueError("this price cannot be")
            if (prices == -2.0).any():
                with Path(kills).open("a") as file:
                    file.write("x")
                os._exit(3)
            if (prices == -3.0).any():
                time.sleep(0.5)
            assert frame.dtypes["count"].kind == "i"
            return pd.DataFrame({"prediction": prices * factor, "score": frame["kind"] == "a"})

    return Habitual()


@dataclass
class Proxy:
    """Forwards to the registry until it is closed, as if the network were gone."""

    target: int
    port: int
    listener: socket.socket = None

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.pipes = []
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        for end in (self.listener, *self.pipes):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", self.target))
                self.pipes += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@dataclass
class Shop:
    """A model in the registry, its server, and where all of it is."""

    model: str
    registry: MlflowRegistry
    artifacts: Path
    folder: Path
    proxy: Proxy
    services: object
    server: object = None
    url: str = ""

    @property
    def log(self):
        return self.folder / "log"

    @property
    def kills(self):
        return self.folder / "kills"

    def add(self, model):
        folder = self.folder / uuid.uuid4().hex
        save_model(
            model, folder, features=FEATURES.names, signature=feature_signature(FEATURES, FEATURES.names)
        )
        run = self.registry.start_run(self.model, name="a training", tags={"ifp.model": self.model})
        made = register(
            self.registry,
            Registration(
                model=self.model,
                run_id=run,
                folder=folder,
                provenance={"code": {}},
                files={
                    "ifp/profile.json": json.dumps(profile_table(SOLD, FEATURES.names).to_json()).encode()
                },
                nonce=uuid.uuid4().hex,
            ),
        )
        self.registry.finish_run(run, "FINISHED")
        return made.version

    def promote(self, version, stage):
        if stage != "staging":
            self.promote(version, "staging")
        promote(self.registry, self.model, version, stage, attempt=self.attempt(), override="a test")

    def attempt(self):
        """Somebody who asks for a change."""
        now = "2026-11-26T00:00:00+00:00"
        return Attempt(actor="a test", time=now, nonce=uuid.uuid4().hex, by="person", reason="to see")

    def roll_back(self, version):
        roll_back(self.registry, self.model, attempt=self.attempt(), to_version=version)

    def damage(self, version):
        """Change a stored file of a version behind the registry's back."""
        uri = self.registry.version(self.model, version).stored.uri
        (path,) = (self.artifacts / uri.partition(":/")[2]).rglob("model.pkl")
        path.write_bytes(path.read_bytes() + b" ")

    def start(self, *options):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = self.services.start(
            f"serve-{port}",
            [
                *("-m", "airflow_provider_ifp", "serve", self.model, "--port", str(port)),
                *("--tracking-uri", self.proxy.uri),
                *(
                    "--cache",
                    str(self.folder / "cache"),
                    "--log",
                    str(self.log),
                    "--poll",
                    "0.3",
                    "--roll",
                    "1",
                    *options,
                ),
            ],
            own_environment(),
        )
        self.wait_until(lambda: requests.get(f"{self.url}/ping", timeout=5).ok, "the server to be ready")

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.server.process.send_signal(signal.SIGTERM)
        code = self.server.process.wait(60)
        self.services.started.remove(self.server)
        return code

    def wait_until(self, ready, what):
        self.services.wait_until(ready, what=what, seconds=60)

    def ask(self, *prices, kind="a", **options):
        records = [{"price": price, "count": 2, "kind": kind} for price in prices]
        return requests.post(
            f"{self.url}/invocations", json={"dataframe_records": records}, timeout=60, **options
        )

    def version(self):
        return requests.get(f"{self.url}/version", timeout=5).json()

    def metric(self, name):
        """A metric's value, as Prometheus would read it; None: it is not there."""
        lines = requests.get(f"{self.url}/metrics", timeout=5).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), None)

    def workers(self):
        """Process ids of the versions' processes: children of the spare."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if self._is_worker(path)]

    def _is_worker(self, stat):
        with suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            command = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            above = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1]
            return (
                b"airflow_provider_ifp.serving.worker.spare" in command
                and int(above) == self.server.process.pid
            )
        return False

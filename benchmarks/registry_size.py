"""What our operations cost on a registry with 10,000 versions and 5,000 events, beside an empty one.

Two real MLflow servers, measured in turns. Every call of MLflow's client that an operation makes is timed, so
the tables say how much of it is MLflow's own, and whether ours grows faster than the calls under it.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import threading
import time
import uuid
import warnings
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

from airflow_provider_ifp.adapters.registry.ledger import record, resolve
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.registry.moves import plan_judgement
from airflow_provider_ifp.demo.services import running_services
from airflow_provider_ifp.demo.stack import launch_mlflow, wait_for_mlflow
from airflow_provider_ifp.loop.registry.audit import audit
from airflow_provider_ifp.loop.registry.move import promote
from filled_registry import add_version, attempt, begin, fill

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "revenue-forecast"
SIDES = ("empty", "full")


@dataclass(slots=True)
class Side:
    """One of the two registries, and the processes of its server."""

    registry: MlflowRegistry
    scratch: Path
    server: list[psutil.Process]
    turn: int = 0


@dataclass(slots=True)
class Cost:
    """One operation on one side: a value a repeat, in seconds."""

    wall: list[float] = field(default_factory=list)
    mlflow: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    calls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=dict)


class Recorder:
    """Times each call of MLflow's client that comes from us; what that calls itself is within."""

    def __init__(self) -> None:
        self.made: list[tuple[str, float, float]] = []
        self._depth = 0

    def watch(self) -> None:
        """Put the clock around every public call of MLflow's that the adapter can make."""
        for name in dir(MlflowClient):
            if not name.startswith("_") and callable(getattr(MlflowClient, name)):
                setattr(MlflowClient, name, self._timed(name, getattr(MlflowClient, name)))
        ArtifactRepository.download_artifacts = self._timed(
            "download_artifacts", ArtifactRepository.download_artifacts
        )
        for name in ("list_artifacts", "log_artifact"):
            setattr(HttpArtifactRepository, name, self._timed(name, getattr(HttpArtifactRepository, name)))

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return call(*arguments, **keywords)  # MLflow's own: it transfers files in threads
            self._depth += 1
            started, cpu = time.perf_counter(), time.process_time()
            try:
                return call(*arguments, **keywords)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.made.append((name, time.perf_counter() - started, time.process_time() - cpu))

        return timed


def _get_production(side: Side) -> None:
    resolve(side.registry, MODEL, "@production")


def _judge(side: Side) -> None:
    record(
        side.registry,
        MODEL,
        lambda ledger: plan_judgement(
            ledger, attempt("rmse"), version="2", verdict="pass", promotes=True, verdict_digest="sha256:v"
        ),
    )


def _promote(side: Side) -> None:
    # Two versions by turns, for nothing is promoted to where it stands; `begin` ended with version 2.
    promote(side.registry, MODEL, "12"[side.turn % 2], "production", attempt=attempt("by turns"))
    side.turn += 1


def _register(side: Side) -> None:
    add_version(side.registry, MODEL, side.scratch / uuid.uuid4().hex)


def _quick_audit(side: Side) -> None:
    audit(side.registry, MODEL, quick=True)


OPERATIONS: dict[str, Callable[[Side], None]] = {
    "promote": _promote,
    "judge": _judge,
    "get production": _get_production,
    "register": _register,
    "audit --quick": _quick_audit,
}


def main() -> None:
    """Fill one server, leave one empty, measure both in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="ifp-bench-") as scratch, ExitStack() as stack:
        services = stack.enter_context(running_services(Path(scratch, "logs")))
        sides = {}
        for name in SIDES:
            folder = Path(scratch, name)
            uri = launch_mlflow(services, folder)
            wait_for_mlflow(services, uri)
            root = psutil.Process(services.started[-1].process.pid)
            server = [root, *root.children(recursive=True)]
            sides[name] = Side(MlflowRegistry(uri), folder / "scratch", server)
            begin(sides[name].registry, MODEL, sides[name].scratch)
        started = time.perf_counter()
        fill(
            sides["full"].registry,
            MODEL,
            database=f"sqlite:///{scratch}/full/mlflow.db",
            artifacts=Path(scratch, "full", "artifacts"),
            versions=arguments.versions,
            events=arguments.events,
        )
        seen = audit(sides["full"].registry, MODEL, quick=True)
        print(
            f"full: {seen.versions:,} versions, {seen.events:,} events, {len(seen.findings)} findings, "
            f"filled in {time.perf_counter() - started:.0f} s; empty: 2 versions, 2 events; "
            f"{arguments.repeats} repeats"
        )
        report(measure(sides, arguments.repeats))


def measure(sides: dict[str, Side], repeats: int) -> dict[tuple[str, str], Cost]:
    """Run every operation on both sides in turns; the first turn warms up and does not count."""
    recorder = Recorder()
    recorder.watch()
    costs: dict[tuple[str, str], Cost] = defaultdict(Cost)
    for turn in range(repeats + 1):
        for operation, act in OPERATIONS.items():
            for name, side in sides.items():
                cost = costs[operation, name] if turn else Cost()
                _once(cost, recorder, act, side)
    return costs


def _once(cost: Cost, recorder: Recorder, act: Callable[[Side], None], side: Side) -> None:
    recorder.made = []
    server, cpu, wall = _cpu(side.server), time.process_time(), time.perf_counter()
    act(side)
    cost.wall.append(time.perf_counter() - wall)
    cost.cpu.append(time.process_time() - cpu)
    cost.server_cpu.append(_cpu(side.server) - server)
    cost.mlflow.append(sum(seconds for _, seconds, _ in recorder.made))
    cost.cpu[-1] -= sum(seconds for _, _, seconds in recorder.made)
    spent: dict[str, list[float]] = defaultdict(list)
    for name, seconds, _ in recorder.made:
        spent[name].append(seconds)
    for name, seconds_each in spent.items():
        cost.calls[name].append(sum(seconds_each))
        cost.counts[name] = len(seconds_each)


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def report(costs: dict[tuple[str, str], Cost]) -> None:
    """Print what each operation costs and how it grows, and MLflow's calls under it."""
    print("\nwall: the operation; MLflow: its calls under it; own CPU: of this process, outside of them")
    print(f"{'median ms':<16}{'':>5}{'wall':>9}{'MLflow':>9}{'own CPU':>9}{'server CPU':>12}{'wall min':>10}")
    for operation in OPERATIONS:
        few, many = (costs[operation, side] for side in SIDES)
        for side, cost in zip(SIDES, (few, many), strict=True):
            spent = (cost.wall, cost.mlflow, cost.cpu, cost.server_cpu)
            shown = "".join(f"{_ms(of):>{width}.1f}" for of, width in zip(spent, (9, 9, 9, 12), strict=True))
            print(f"{operation if cost is few else '':<15}{side:>6}{shown}{min(cost.wall) * 1e3:>10.1f}")
        steepest = max(many.calls, key=lambda call: _growth(few, many, call))
        ours = _ms(many.wall) / _ms(few.wall)
        limit = _growth(few, many, steepest)
        print(
            f"{'':<15}{'grows':>6}{ours:>8.1f}x{_ms(many.mlflow) / _ms(few.mlflow):>8.1f}x"
            f"  {'no faster' if ours <= limit else 'FASTER'} than {steepest}: {limit:.1f}x"
        )
    print(f"\n{'MLflow calls under it, median ms':<34}{'calls':>12}{'empty':>9}{'full':>10}{'grows':>9}")
    for operation in OPERATIONS:
        print(operation)
        few, many = (costs[operation, side] for side in SIDES)
        for call, spent in many.calls.items():
            counts = f"{few.counts[call]}, {many.counts[call]}"
            print(
                f"  {call:<32}{counts:>12}{_ms(few.calls[call]):>9.1f}{_ms(spent):>10.1f}"
                f"{_growth(few, many, call):>8.1f}x"
            )


def _growth(few: Cost, many: Cost, call: str) -> float:
    return _ms(many.calls[call]) / _ms(few.calls[call])


def _ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1e3


if __name__ == "__main__":
    main()

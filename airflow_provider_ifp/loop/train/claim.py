"""Claims: of several runs with one build key at once, one trains, and the others wait for what it makes.

A claim is an entry of the model's journal `training`, written once: its key is the build key and a number,
its text says who and by which training run. It holds while that run is alive: `RUNNING`, with a heartbeat
that changes. Whoever finds it dead writes the next number, and of those who try one gets it. No clocks are
compared: a waiter measures by its own how long the heartbeat stood still.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.protocol import TRAINING
from airflow_provider_ifp.core.errors import LedgerConflictError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry

log = logging.getLogger(__name__)

HEARTBEAT = "ifp.heartbeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds between a waiter's looks, between heartbeats, and until a still heart is a dead one."""

    look: float = 5.0
    beat: float = 10.0
    dead: float = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Who trains a build: the `number` of the claim, the task that holds it, its training run."""

    number: int
    owner: str
    run_id: str


def take_turn(
    registry: Registry,
    model: str,
    build_key: str,
    *,
    owner: str,
    start_run: Callable[[], str],
    patience: Patience,
) -> ModelVersion | str:
    """Wait until the build is registered or ours to train.

    Args:
        registry: Where versions and claims are.
        model: The registered model.
        build_key: Of the training.
        owner: The task, the same for each of its tries: a claim of its own earlier try is dead.
        start_run: Starts our training run; called before we claim, since the claim names it.
        patience: How long to wait for what.

    Returns:
        The newest version with that build key, or the id of our run: then it is our turn to train.
    """
    watch = _Watch(registry, patience)
    while True:
        if made := newest(registry, model, build_key):
            return made
        last = _last_claim(registry, model, build_key)
        if last is None or last.owner == owner or watch.is_dead(last):
            run_id = start_run()
            number = last.number + 1 if last else 1
            if _claim(registry, model, build_key, Claim(number, owner, run_id)):
                # Its holder may have registered, and ended its run, between our two looks.
                made = newest(registry, model, build_key)
                if made is None:
                    return run_id
                registry.finish_run(run_id, "FINISHED")
                return made
            registry.finish_run(run_id, "KILLED")
        time.sleep(patience.look)


def newest(registry: Registry, model: str, build_key: str) -> ModelVersion | None:
    """The newest version with that build key."""
    same = registry.find_versions(model, {"ifp.build_key": build_key})
    return same[-1] if same else None


@contextmanager
def heartbeat(registry: Registry, run_id: str, every: float) -> Iterator[None]:
    """Show waiters that this process lives, as long as the block runs."""
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(every):
            count += 1
            try:
                registry.tag_run(run_id, HEARTBEAT, str(count))
            except RegistryError as error:  # a registry that is away for a moment ends no training
                log.warning("no heartbeat for run %s: %s", run_id, error)

    thread = threading.Thread(target=beat, name="ifp-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Watch:
    """Tells whether a claim's holder is dead, by looks at its run."""

    def __init__(self, registry: Registry, patience: Patience) -> None:
        self._registry, self._patience = registry, patience
        self._seen: tuple[Claim, str | None] | None = None
        self._since = 0.0

    def is_dead(self, claim: Claim) -> bool:
        run = self._registry.run(claim.run_id)
        if run is None or run.deleted or run.status != "RUNNING":
            return True
        seen = (claim, run.tags.get(HEARTBEAT))
        if seen != self._seen:
            if self._seen is None or self._seen[0] != claim:
                log.info("run %s trains the same build; waiting for what it registers", claim.run_id)
            self._seen, self._since = seen, time.monotonic()
        still = time.monotonic() - self._since
        if still < self._patience.dead:
            return False
        log.warning("run %s gave no sign of life for %.0f s; taking over", claim.run_id, still)
        return True


def _last_claim(registry: Registry, model: str, build_key: str) -> Claim | None:
    prefix = _prefix(build_key)
    found = []
    for key, text in registry.entries(model, TRAINING).items():
        if key.startswith(prefix):
            record = json.loads(text)
            found.append(Claim(int(key.removeprefix(prefix)), record["owner"], record["run_id"]))
    return max(found, key=lambda claim: claim.number, default=None)


def _claim(registry: Registry, model: str, build_key: str, claim: Claim) -> bool:
    text = json.dumps({"owner": claim.owner, "run_id": claim.run_id}, sort_keys=True)
    try:
        registry.put_entry(model, TRAINING, f"{_prefix(build_key)}{claim.number:05d}", text)
    except LedgerConflictError:
        return False
    return True


def _prefix(build_key: str) -> str:
    return f"build.{build_key.removeprefix('sha256:')}."

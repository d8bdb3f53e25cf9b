"""The trainer's process, as the task sees it: started, listened to, and its end told as one of our errors."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.protocol import Measurement
from airflow_provider_ifp.core.errors import (
    EntrypointError,
    LossNotFiniteError,
    PreemptedError,
    TrainingError,
)
from airflow_provider_ifp.training.spec import EXIT_NOT_FINITE, EXIT_PREEMPTED, Result

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_ifp.adapters.launch.protocol import Launcher
    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.training.spec import Spec

log = logging.getLogger(__name__)


def launch(
    launcher: Launcher,
    spec: Spec,
    *,
    timeout: timedelta | None,
    registry: Registry | None = None,
    run_id: str = "",
) -> Result:
    """Train as the spec says; what the trainer prints is our log, what it measures goes to the registry.

    Args:
        launcher: Runs the trainer.
        spec: What to train.
        timeout: After this the trainer is killed.
        registry: Gets metrics and parameters while training runs; None: they stand in the log alone.
        run_id: The training run.

    Returns:
        The whole result.

    Raises:
        EntrypointError: the entrypoint cannot be found or imported.
        LossNotFiniteError: a metric became NaN or infinite.
        PreemptedError: the trainer asks to be started again.
        TrainingError: it failed, was killed, or took too long.
    """
    output = Path(spec.output)
    forward = _Forwarding(registry, run_id, output / "events.jsonl") if registry else _keep_quiet
    seconds = time.monotonic()
    try:
        code = launcher.run(
            spec.write(),
            seed=spec.seed,
            timeout=timeout,
            on_line=lambda line: log.info("%s", line),
            on_pause=forward,
        )
    finally:
        forward()
    log.info("trainer ended with exit code %d after %.1f s", code, time.monotonic() - seconds)
    if code != 0:
        raise _failure(code, output / "error.json")
    return Result.read(output)


def _keep_quiet() -> None:
    """Forward nothing."""


class _Forwarding:
    """Sends what the trainer wrote since the last look to the registry, in one call."""

    def __init__(self, registry: Registry, run_id: str, events: Path) -> None:
        self._registry, self._run_id, self._events = registry, run_id, events
        self._read = 0

    def __call__(self) -> None:
        if not self._events.exists():
            return
        with self._events.open("rb") as file:
            file.seek(self._read)
            # A line that is still being written has no end yet; it is read at the next look.
            fresh = file.read().rpartition(b"\n")[0]
        if not fresh:
            return
        self._read += len(fresh) + 1
        events = [json.loads(line) for line in fresh.splitlines()]
        metrics = [
            Measurement(e["metric"], e["value"], e["step"], e["time"]) for e in events if "metric" in e
        ]
        params = {event["param"]: event["value"] for event in events if "param" in event}
        if metrics:
            self._registry.log_metrics(self._run_id, metrics)
        if params:
            self._registry.log_params(self._run_id, params)


def _failure(code: int, error_file: Path) -> TrainingError:
    told = json.loads(error_file.read_text(encoding="utf-8")) if error_file.exists() else None
    if told is None:
        cause = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        memory = " (out of memory?)" if code in {-9, 137} else ""
        return TrainingError(
            f"the trainer was ended {cause}{memory}; nothing is registered; its log stands above"
        )
    message = f"{told['kind']}: {told['message']}"
    if code == EXIT_NOT_FINITE:
        return LossNotFiniteError(told["message"])
    if code == EXIT_PREEMPTED:
        return PreemptedError(told["message"])
    if told["kind"] == EntrypointError.__name__:
        return EntrypointError(told["message"])
    return TrainingError(f"training failed, nothing is registered: {message}")

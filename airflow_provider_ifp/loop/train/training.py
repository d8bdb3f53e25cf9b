"""One training: prepared, claimed, run in a process of its own; registered if it came out whole."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.core.errors import RegistryError
from airflow_provider_ifp.core.registry.build import UNRECORDED, differences
from airflow_provider_ifp.loop.drift.reference import PROFILE
from airflow_provider_ifp.loop.train.claim import Patience, heartbeat, newest, take_turn
from airflow_provider_ifp.loop.train.launch import launch
from airflow_provider_ifp.loop.train.prepare import prepare
from airflow_provider_ifp.training.provenance import FORMAT, record_code, seed_facts, window_facts
from airflow_provider_ifp.training.registration import PROVENANCE, Registration, register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from airflow_provider_ifp.adapters.launch.protocol import Launcher
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.loop.train.prepare import Prepared
    from airflow_provider_ifp.training.provenance import CodeRecord
    from airflow_provider_ifp.training.spec import Result, Spec

log = logging.getLogger(__name__)

BECAUSE = "ifp.trained_because"
"""Tag of a training run: what changed since the version before, or why that was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train, and for whom.

    Attributes:
        policy: The model's policy.
        now: The time of the run, UTC.
        params: Laid over the policy's `train.params`.
        work: A folder that is removed when training has ended.
        checkpoints: The folder under which checkpoints outlive a retry.
        owner: Names the task, the same for each of its tries.
        nonce: Names this try of the task: what it repeats, it does once.
        airflow: Dag id, run id, task, try, logical date; for provenance.
        patience: How long another run that trains the same is waited for.
        connect: Gives the engine of a `data.source` by conn_id; None: by the environment.
    """

    policy: Policy
    now: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    work: Path
    checkpoints: Path
    owner: str
    nonce: str
    airflow: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    connect: Connect | None = None


def train(registry: Registry, order: Order, launcher: Launcher) -> dict[str, Any]:
    """Train and register one version, or find the one that the same build gave before.

    Returns:
        The `train` task's XCom: model, version, run_id, content_digest, build_key, reused.

    Raises:
        DatasetError: the training window is missing, empty, or lacks a column.
        EntrypointError: the entrypoint cannot be found or imported.
        LossNotFiniteError: a metric became NaN or infinite.
        TrainingError: training failed or was killed. Nothing is registered.
    """
    order.work.mkdir(parents=True, exist_ok=True)
    try:
        return _train(registry, order, launcher)
    finally:
        shutil.rmtree(order.work, ignore_errors=True)


def _train(registry: Registry, order: Order, launcher: Launcher) -> dict[str, Any]:
    prepared = prepare(order.policy, order.now, order.params, order.connect)
    key, model = prepared.build.key, order.policy.model

    def start_run() -> str:
        name = f"{model} {order.now:%Y-%m-%d %H:%M}"
        return registry.start_run(model, name=name, tags={"ifp.model": model, "ifp.nonce": order.nonce})

    turn = (
        take_turn(registry, model, key, owner=order.owner, start_run=start_run, patience=order.patience)
        if _may_reuse(prepared)
        else start_run()
    )
    if not isinstance(turn, str):
        return _reused(turn)
    with _ending(registry, turn), heartbeat(registry, turn, order.patience.beat):
        why = what_changed(registry, prepared)
        log.info("%s: training anew: %s", model, why)
        registry.tag_run(turn, BECAUSE, why)
        made = _train_anew(registry, order, prepared, launcher, turn)
    return _outcome(made, reused=False) if made.run_id == turn else _reused(made)


def _may_reuse(prepared: Prepared) -> bool:
    """Where a part of the build is not known, its key says nothing."""
    return prepared.settings.reuse and prepared.build.key != UNRECORDED


@contextmanager
def _ending(registry: Registry, run_id: str) -> Iterator[None]:
    """End the training run as the block ends."""
    try:
        yield
    except BaseException as error:
        # What went wrong must not be hidden by a registry that went away with it.
        with suppress(RegistryError):
            registry.finish_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    registry.finish_run(run_id, "FINISHED")


def what_changed(registry: Registry, prepared: Prepared) -> str:
    """In words, why the newest version of the model is not this build."""
    if not prepared.settings.reuse:
        return "train.reuse is false"
    last = registry.latest(prepared.policy.model)
    if last is None:
        return "it is the model's first version"
    content = registry.get_file(last.run_id, PROVENANCE)
    before = json.loads(content) if content else {}
    if "build" not in before:
        return f"version {last.version} does not say what it was built from"
    now = {
        "build": prepared.build.to_json(),
        "data": [{"rows": prepared.rows.table.num_rows}],
        "environment": prepared.environment,
    }
    changes = differences(before, now)
    return f"since version {last.version}: {'; '.join(changes)}" if changes else f"as version {last.version}"


def _train_anew(
    registry: Registry, order: Order, prepared: Prepared, launcher: Launcher, run_id: str
) -> ModelVersion:
    spec = prepared.spec(work=order.work, checkpoints=order.checkpoints)
    code = record_code(prepared.source)
    registry.log_params(run_id, {key: str(value) for key, value in spec.params.items()})
    timeout = prepared.settings.timeout
    result = launch(launcher, spec, timeout=timeout, registry=registry, run_id=run_id)
    # Who was taken for dead may still come to its end: a build is registered once all the same.
    twin = newest(registry, spec.model, prepared.build.key) if _may_reuse(prepared) else None
    made = twin or register(
        registry, _registration(order, prepared, code=code, spec=spec, result=result, run_id=run_id)
    )
    # What a retry would have gone on from is of no more use.
    shutil.rmtree(spec.checkpoints, ignore_errors=True)
    return made


def _registration(
    order: Order, prepared: Prepared, *, code: CodeRecord, spec: Spec, result: Result, run_id: str
) -> Registration:
    limit = prepared.settings.timeout
    provenance = {
        "format": FORMAT,
        "code": code.facts,
        "data": [prepared.data_facts()],
        "holdout": {"window": window_facts(prepared.windows.holdout)},
        "params": {**spec.params, **result.params},
        "seed": spec.seed,
        "seeds": seed_facts(spec.seed),
        "train": {
            "params": spec.params,
            "launcher": prepared.settings.launcher,
            "processes": prepared.settings.processes,
            "timeout_seconds": limit.total_seconds() if limit else None,
        },
        "environment": prepared.environment,
        "hardware": result.hardware,
        "device": result.device,
        "determinism": result.determinism,
        "build": prepared.build.to_json(),
        "airflow": dict(order.airflow),
        "as_of": order.now.isoformat(),
        "policy_digest": order.policy.digest(),
        "mlflow_run": run_id,
        "durations": {"read": prepared.rows.seconds, "train": result.seconds},
    }
    return Registration(
        model=order.policy.model,
        run_id=run_id,
        folder=Path(result.model_folder),
        provenance=provenance,
        files={PROFILE: prepared.profile(), **code.files},
        build_key=prepared.build.key,
        data_digest=prepared.data_digest,
        seed=str(spec.seed),
        tags=result.tags,
        nonce=order.nonce,
    )


def reason_to_stop(registry: Registry, outcome: Mapping[str, Any]) -> str | None:
    """Why a reused version need not be judged again; None where it is to be."""
    if not outcome["reused"]:
        return None
    ledger, version = read_ledger(registry, outcome["model"]), outcome["version"]
    judged = ledger.judgement(version)
    same = f"the same code, data, params, seed and environment gave version {version}, which"
    if ledger.production == version:
        return f"{same} is in production already"
    if version in ledger.rolled_back:
        return f"{same} was rolled back"
    if judged is not None and not judged.promotes:
        return f"{same} did not pass its gate ({judged.reason})"
    return None


def _reused(version: ModelVersion) -> dict[str, Any]:
    log.info("%s: version %s has the same build key; nothing is trained", version.model, version.version)
    return _outcome(version, reused=True)


def _outcome(version: ModelVersion, *, reused: bool) -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "run_id": version.run_id,
        "content_digest": version.content_digest,
        "build_key": version.build_key,
        "reused": reused,
    }

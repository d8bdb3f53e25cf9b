"""One training: read the window once, train in a process of its own, register what came out whole."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.datasets import source_id
from airflow_provider_ifp.adapters.environment import device_class, read_environment
from airflow_provider_ifp.adapters.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.ledger import read_ledger
from airflow_provider_ifp.adapters.profiling import profile_table
from airflow_provider_ifp.adapters.source_code import dirty_patch, read_source_code
from airflow_provider_ifp.core.errors import RegistryError
from airflow_provider_ifp.core.policy import require_training_keys
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.check import PROFILE
from airflow_provider_ifp.loop.labelled import read_labelled
from airflow_provider_ifp.loop.launch import launch
from airflow_provider_ifp.training.provenance import FORMAT, build_key, code_facts
from airflow_provider_ifp.training.registration import Registration, register
from airflow_provider_ifp.training.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_ifp.adapters.launchers import Launcher
    from airflow_provider_ifp.adapters.registry import ModelVersion, Registry
    from airflow_provider_ifp.adapters.source_code import SourceCode
    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.policy_sections import TrainSection
    from airflow_provider_ifp.training.spec import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train, and for whom.

    Attributes:
        policy: The model's policy.
        now: The time of the run, UTC.
        params: Laid over the policy's `train.params`.
        work: A folder that is removed when training has ended.
        checkpoints: The folder under which checkpoints outlive a retry.
        nonce: Names this try of the task: what it repeats, it does once.
        airflow: Dag id, run id, task, try, logical date; for provenance.
    """

    policy: Policy
    now: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    work: Path
    checkpoints: Path
    nonce: str
    airflow: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known before the trainer starts."""

    settings: TrainSection
    spec: Spec
    source: SourceCode
    data: dict[str, Any]
    profile: dict[str, Any]
    environment: dict[str, Any]
    build_key: str


def train(registry: Registry, order: Order, launcher: Launcher) -> dict[str, Any]:
    """Train and register one version.

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
        prepared = prepare(order)
        twin = _twin(registry, order, prepared)
        if twin is not None:
            log.info("%s: version %s has the same build key; nothing is trained", twin.model, twin.version)
            return _outcome(twin, reused=True)
        return _outcome(_train_anew(registry, order, prepared, launcher), reused=False)
    finally:
        shutil.rmtree(order.work, ignore_errors=True)


def prepare(order: Order) -> Prepared:
    """Read the training window once: what the trainer sees is what was digested and profiled."""
    policy = order.policy
    data, settings = policy.data, require_training_keys(policy)
    source_uri, entrypoint = policy.resolve(str(data.source)), _located(policy, str(settings.entrypoint))
    source = read_source_code(entrypoint)
    window = training_windows(order.now, data.train_window, data.holdout_window, data.label_delay).train
    table, features, categorical = read_labelled(policy, window)
    digest = fingerprint_table(table)
    profile = profile_table(table, features, categorical).to_json()
    file = order.work / "data.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    params = {**settings.params, **order.params}
    environment = read_environment()
    key = build_key(
        {
            "code": source.digest,
            "entrypoint": settings.entrypoint,
            "data": digest.digest,
            "label": data.label,
            "positive": data.positive,
            "features": features,
            "categorical": categorical,
            "params": params,
            "seed": settings.seed,
            "environment": environment["digest"],
            "device": device_class(),
            "launcher": settings.launcher,
            "processes": settings.processes,
        }
    )
    checkpoints = order.checkpoints / policy.model / key.removeprefix("sha256:")
    checkpoints.mkdir(parents=True, exist_ok=True)
    times = pc.min_max(table[data.time_column]).as_py()
    return Prepared(
        settings=settings,
        spec=Spec(
            model=policy.model,
            entrypoint=entrypoint,
            params=params,
            seed=settings.seed,
            data=str(file),
            label=data.label,
            positive=data.positive,
            features=features,
            code={} if source.installed else source.files,
            checkpoints=str(checkpoints),
            output=str(order.work),
        ),
        source=source,
        data={
            "role": "training",
            "source_id": source_id(source_uri, window, time_column=data.time_column),
            "content_digest": digest.digest,
            "rows": table.num_rows,
            "window": str(window),
            "start": times["min"].isoformat(),
            "end": times["max"].isoformat(),
            "schema": {name: str(table.schema.field(name).type) for name in table.schema.names},
            "features": features,
            "categorical": categorical,
            "label": data.label,
        },
        profile=profile,
        environment=environment,
        build_key=key,
    )


def _train_anew(registry: Registry, order: Order, prepared: Prepared, launcher: Launcher) -> ModelVersion:
    policy = order.policy
    name = f"{policy.model} {order.now:%Y-%m-%d %H:%M}"
    run_id = registry.start_run(
        policy.model, name=name, tags={"ifp.model": policy.model, "ifp.nonce": order.nonce}
    )
    try:
        registry.log_params(run_id, {key: str(value) for key, value in prepared.spec.params.items()})
        result = launch(
            launcher,
            prepared.spec,
            timeout=prepared.settings.timeout,
            registry=registry,
            run_id=run_id,
        )
        made = register(registry, _registration(order, prepared, result, run_id))
    except BaseException as error:
        # What went wrong must not be hidden by a registry that went away with it.
        with suppress(RegistryError):
            registry.finish_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    registry.finish_run(run_id, "FINISHED")
    # What a retry would have gone on from is of no more use.
    shutil.rmtree(prepared.spec.checkpoints, ignore_errors=True)
    return made


def _registration(order: Order, prepared: Prepared, result: Result, run_id: str) -> Registration:
    patch = None if prepared.source.installed else dirty_patch(prepared.source.root)
    provenance = {
        "format": FORMAT,
        "code": code_facts(prepared.source),
        "data": [prepared.data],
        "params": {**prepared.spec.params, **result.params},
        "seed": prepared.spec.seed,
        "environment": prepared.environment,
        "hardware": result.hardware,
        "device": result.device,
        "determinism": result.determinism,
        "airflow": dict(order.airflow),
        "as_of": order.now.isoformat(),
        "policy_digest": order.policy.digest(),
        "mlflow_run": run_id,
        "seconds": result.seconds,
    }
    files = {PROFILE: json.dumps(prepared.profile, separators=(",", ":")).encode()}
    if patch:
        files["ifp/dirty.patch"] = patch
    return Registration(
        model=order.policy.model,
        run_id=run_id,
        folder=Path(result.model_folder),
        provenance=provenance,
        files=files,
        build_key=prepared.build_key,
        data_digest=prepared.data["content_digest"],
        seed=str(prepared.spec.seed),
        tags=result.tags,
        nonce=order.nonce,
    )


def _twin(registry: Registry, order: Order, prepared: Prepared) -> ModelVersion | None:
    """The newest version with this build key, unless reuse is off."""
    if not prepared.settings.reuse:
        return None
    key = prepared.build_key
    same = [version for version in registry.versions(order.policy.model) if version.build_key == key]
    return same[-1] if same else None


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


def _located(policy: Policy, entrypoint: str) -> str:
    return policy.resolve(entrypoint) if entrypoint.endswith(".py") else entrypoint


def _outcome(version: ModelVersion, *, reused: bool) -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "run_id": version.run_id,
        "content_digest": version.content_digest,
        "build_key": version.build_key,
        "reused": reused,
    }

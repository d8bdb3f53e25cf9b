"""What a training is made of, known before it starts: code, rows, environment, and their build key."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.code.entrypoint import copy_source_code, read_source_code
from airflow_provider_ifp.adapters.code.environment import device_class, named_environment, read_environment
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.data.manifest import manifest_digest
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.policy.model import require_training_keys
from airflow_provider_ifp.core.registry.build import Build
from airflow_provider_ifp.core.windows import training_windows
from airflow_provider_ifp.loop.drift.reference import make_reference, write_profile
from airflow_provider_ifp.loop.labelled import labelled_columns, read_labelled
from airflow_provider_ifp.training.provenance import window_facts
from airflow_provider_ifp.training.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from airflow_provider_ifp.adapters.code.entrypoint import SourceCode
    from airflow_provider_ifp.adapters.sources import Source
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.policy.sections import TrainSection
    from airflow_provider_ifp.core.windows import Windows
    from airflow_provider_ifp.loop.labelled import Columns


@dataclass(frozen=True, slots=True)
class Rows:
    """The training window's rows, read once: what trains is what was digested and profiled."""

    table: pa.Table
    content_digest: str
    seconds: float


@dataclass(frozen=True)
class Prepared:
    """One training, ready to start.

    Attributes:
        policy: The model's policy.
        settings: Its `train` section.
        windows: Training window and holdout.
        dataset: Where the rows come from.
        columns: What is read.
        params: The policy's, with the trigger form's laid over them.
        source: The entrypoint's code.
        environment: Interpreter, every distribution, digest.
        required: Digest of what of it is in the build key: all, or what `train.environment` names.
        build: What determines the result.
    """

    policy: Policy
    settings: TrainSection
    windows: Windows
    dataset: Source
    columns: Columns
    params: dict[str, Any]
    source: SourceCode
    environment: dict[str, Any]
    required: str

    @cached_property
    def rows(self) -> Rows:
        """The rows; with `digest: manifest` they are read only if something is trained."""
        started = time.monotonic()
        table = read_labelled(self.policy, self.dataset, self.windows.train, self.columns)
        return Rows(table, fingerprint_table(table).digest, round(time.monotonic() - started, 3))

    @cached_property
    def data_digest(self) -> str:
        """Digest of the rows, or with `digest: manifest` of the files that hold them."""
        data = self.policy.data
        if data.digest == "content":
            return self.rows.content_digest
        return manifest_digest(
            self.policy.resolve(str(data.source)), self.windows.train, data.time_column
        ).digest

    @cached_property
    def build(self) -> Build:
        """What determines the result."""
        data, settings = self.policy.data, self.settings
        return Build(
            code=self.source.digest,
            entrypoint=settings.entrypoint,
            data_digest=self.data_digest,
            label=data.label,
            positive=data.positive,
            features=self.columns.features,
            categorical=self.columns.categorical,
            params=self.params,
            seed=settings.seed,
            environment=self.required,
            device=device_class(),
            launcher=settings.launcher,
            processes=settings.processes,
        )

    def data_facts(self) -> dict[str, Any]:
        """The training data, as provenance records it."""
        data, table = self.policy.data, self.rows.table
        window = self.windows.train
        times = pc.min_max(table[data.time_column]).as_py()
        return {
            "role": "training",
            **self.dataset.describe(window, str(data.time_column), self.columns.names),
            "content_digest": self.rows.content_digest,
            "manifest_digest": self.data_digest if data.digest == "manifest" else None,
            "rows": table.num_rows,
            "window": window_facts(window),
            "start": times["min"].isoformat(),
            "end": times["max"].isoformat(),
            "schema": {name: str(table.schema.field(name).type) for name in table.schema.names},
            "time_column": data.time_column,
            "columns": self.columns.names,
            "key": list(data.key or ()),
            "label": data.label,
            "positive": data.positive,
            "features": self.columns.features,
            "categorical": self.columns.categorical,
        }

    def profile(self) -> bytes:
        """The reference window's profile, as `ifp/profile.json` holds it."""
        return write_profile(make_reference(self.rows.table, self.columns, self.policy))

    def spec(self, *, work: Path, checkpoints: Path) -> Spec:
        """Write the rows where the trainer reads them, and say what it is to do."""
        kept = checkpoints / self.policy.model / self.build.key.removeprefix("sha256:")
        kept.mkdir(parents=True, exist_ok=True)
        return Spec(
            model=self.policy.model,
            entrypoint=located(self.policy, str(self.settings.entrypoint)),
            params=self.params,
            seed=self.settings.seed,
            data=str(write_rows(self.rows.table, work)),
            label=self.policy.data.label,
            positive=self.policy.data.positive,
            features=self.columns.features,
            code={} if self.source.installed else copy_source_code(self.source, work / "code"),
            checkpoints=str(kept),
            output=str(work),
        )


def prepare(
    policy: Policy, now: datetime, params: Mapping[str, Any], connect: Connect | None = None
) -> Prepared:
    """Find the code, the windows and the columns; no row is read yet.

    Args:
        policy: The model's policy.
        now: The time of the run, UTC; the windows end there.
        params: Laid over the policy's `train.params`.
        connect: Gives the engine of a `data.source` by conn_id; None: by the environment.

    Raises:
        PolicyError: the policy lacks what training needs.
        EntrypointError: the code is not there.
        DatasetError: no such data, or a column is missing.
    """
    settings = require_training_keys(policy)
    source = read_source_code(located(policy, str(settings.entrypoint)))
    data, environment = policy.data, read_environment()
    dataset = open_source(policy, connect)
    required = named_environment(settings.environment) if settings.environment else environment
    return Prepared(
        policy=policy,
        settings=settings,
        windows=training_windows(now, data.train_window, data.holdout_window, data.label_delay),
        dataset=dataset,
        columns=labelled_columns(policy, dataset),
        params={**settings.params, **params},
        source=source,
        environment=environment,
        required=required["digest"],
    )


def write_rows(table: pa.Table, folder: Path) -> Path:
    """Write the rows as the Arrow file that a trainer maps into memory; returns its path."""
    file = folder / "data.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return file


def located(policy: Policy, entrypoint: str) -> str:
    """A script's path, counted from the policy's folder; `package.module:function` as it is."""
    return policy.resolve(entrypoint) if entrypoint.endswith(".py") else entrypoint

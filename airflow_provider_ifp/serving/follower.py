"""The follower's process: asks the registry which version stands where, and fetches it.

    python -m airflow_provider_ifp.serving.follower FD SETTINGS

A process of its own, since MLflow's client blocks and a registry that hangs must stall nobody. It asks for
the aliases, which cost the registry little; the ledger, which is what counts, is read when they have
changed and once a minute besides.
"""

from __future__ import annotations

import json
import logging
import os
import random
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.launch.process_tree import end_with_parent
from airflow_provider_ifp.core.errors import (
    DigestMismatchError,
    IfpError,
    ModelError,
    RegistryUnreachableError,
    VersionNotFoundError,
)
from airflow_provider_ifp.serving.cache import VersionCache
from airflow_provider_ifp.serving.messages import Cleared, Found, NotFetched, RegistrySeen, UnknownModel
from airflow_provider_ifp.serving.wire import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.serving.messages import Message

log = logging.getLogger(__name__)

PROFILE = "ifp/profile.json"
_LEDGER_SECONDS = 60.0
_RETRY_SECONDS = 60.0
"""When a version whose files were not what they must be is fetched again: somebody may have mended them."""

_JITTER = 0.2
_NETWORK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own settings would hold a look at a dead registry for minutes."""


@dataclass(slots=True)
class Follower:
    """What was seen in the registry so far.

    Attributes:
        model: The registered model.
        stages: Those that are followed.
        cache: Where fetched versions go.
        connect: Gives the registry; asked again after it failed.
        tell: Takes each message.
    """

    model: str
    stages: tuple[str, ...]
    cache: VersionCache
    connect: Callable[[], Registry]
    tell: Callable[[Message], None]
    _registry: Registry | None = None
    _aliases: Mapping[Any, str] | None = None
    _held: Mapping[Any, str] = field(default_factory=dict)
    _ledger_at: float = 0.0
    _told: dict[str, str | None] = field(default_factory=dict)
    _retries: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Ask once, and tell what is new."""
        try:
            held = self._look_up()
            for stage in self.stages:
                self._follow(stage, held.get(stage))
        except IfpError as error:
            self._registry = self._aliases = None
            self.tell(RegistrySeen(str(error)))
            self._fall_back()
        else:
            self.tell(RegistrySeen(""))

    def _look_up(self) -> Mapping[Any, str]:
        from airflow_provider_ifp.adapters.registry.ledger import read_ledger

        self._registry = self._registry or self.connect()
        aliases = self._registry.aliases(self.model)
        if aliases != self._aliases or time.monotonic() > self._ledger_at:
            ledger = read_ledger(self._registry, self.model)
            if not ledger.events and self._registry.latest(self.model) is None:
                self.tell(UnknownModel(f"there is no model {self.model!r} in {self._registry.uri}"))
            self._held = ledger.stages
            self._aliases, self._ledger_at = aliases, time.monotonic() + _LEDGER_SECONDS
        return self._held

    def _follow(self, stage: str, number: str | None) -> None:
        if stage in self._told and self._told[stage] == number and not self._is_due(stage, number):
            return
        self._retries.pop(stage, None)
        if number is None:
            self.tell(Cleared(stage))
        else:
            try:
                self.tell(self.cache.find(stage, number) or self._fetch(stage, number))
            except (DigestMismatchError, VersionNotFoundError, ModelError) as error:
                self._retries[stage] = time.monotonic() + _RETRY_SECONDS
                self.tell(NotFetched(stage, number, str(error)))
        self._told[stage] = number

    def _is_due(self, stage: str, number: str | None) -> bool:
        """Whether to fetch again what could not be fetched, or what was found damaged, and discarded."""
        if stage in self._retries:
            return time.monotonic() > self._retries[stage]
        return number is not None and self.cache.find(stage, number) is None

    def _fetch(self, stage: str, number: str) -> Found:
        from airflow_provider_ifp.training.loading import fetch

        registry = self._registry
        if registry is None:
            raise RegistryUnreachableError("the registry is away")
        version = registry.version(self.model, number)
        try:
            with self.cache.adding(number, version.files_digest) as folder:
                fetch(registry, version, folder / "model")
                profile = registry.get_file(version.run_id, PROFILE)
                if profile is not None:
                    (folder / "profile.json").write_bytes(profile)
        except OSError as error:
            raise ModelError(f"version {number} cannot be kept in the cache: {error}") from error
        found = self.cache.find(stage, number)
        if found is None:
            raise ModelError(f"version {number} vanished from the cache while it was fetched")
        return found

    def _fall_back(self) -> None:
        """The registry is away: what answered last is what there is."""
        for stage in self.stages:
            if stage not in self._told and (found := self.cache.last_good(stage)):
                self._told[stage] = found.version
                self.tell(found)


def main(fd: int, settings: dict[str, Any]) -> int:
    """Look, and look again, until the front closes our socket."""
    end_with_parent()
    for name, value in _NETWORK.items():
        os.environ.setdefault(name, value)
    with socket.socket(fileno=fd) as front:

        def tell(message: Message) -> None:
            front.sendall(pack(message))

        try:
            cache = VersionCache(Path(settings["cache"]), settings["address"], settings["model"])
        except (IfpError, OSError) as error:
            tell(UnknownModel(str(error)))
            return 1
        follower = Follower(
            settings["model"],
            tuple(settings["stages"]),
            cache,
            lambda: _connect(settings["tracking_uri"]),
            tell,
        )
        try:
            while True:
                follower.look()
                seconds = settings["poll_seconds"] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
                if select.select([front], [], [], seconds)[0]:
                    return 0
        except (BrokenPipeError, ConnectionResetError):
            return 0


def _connect(tracking_uri: str | None) -> Registry:
    from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry

    return MlflowRegistry(tracking_uri)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="ifp: %(message)s")
    sys.exit(main(int(sys.argv[1]), json.loads(sys.argv[2])))

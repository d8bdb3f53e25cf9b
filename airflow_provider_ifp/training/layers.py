"""Versions answer with the packages that they were made with, where those are not what is installed here.

A layer is a folder with the distributions that a version asks for and this environment lacks, and with all
that those require; it stands before everything else on the path of that version's process. It is made once,
by pip, and found again by what is in it. What the version does not ask for is taken from here.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import uuid
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import psutil

from airflow_provider_ifp.adapters.launch.user_environment import user_environment
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.requirements import read_requirements, unmet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

log = logging.getLogger(__name__)

_SECONDS: Final = 1800
_SHOWN: Final = 1000  # characters of the installer's output that a message repeats
_BUILDING: Final = ".building-"


def version_environment(folder: Path, layers: Path | None) -> dict[str, str]:
    """Return the environment of a process that opens a model folder.

    Args:
        folder: A verified model folder.
        layers: Where layers are kept; None: the version answers with what is installed here.

    Raises:
        ModelError: what it asks for cannot be installed.
    """
    environment = user_environment(os.environ, seed=0)
    requirements = read_requirements(folder)
    lacking = unmet(requirements)
    if not lacking:
        return environment
    told = ", ".join(map(str, lacking))
    if layers is None:
        log.warning("%s asks for %s, and answers with what is installed here", folder.name, told)
        return environment
    layer = _layer(requirements, lacking, layers)
    log.info("%s answers with %s, from %s", folder.name, told, layer)
    path = os.pathsep.join(filter(None, (str(layer), environment.get("PYTHONPATH"))))
    return environment | {"PYTHONPATH": path}


def _layer(requirements: Sequence[Requirement], lacking: Sequence[Requirement], layers: Path) -> Path:
    """Find the layer, or make it: whole or not at all, whoever else makes it at the same time."""
    # What is met already may be required by what is not, and is kept at the version's own then; a constraint
    # has no extras.
    pins = sorted(f"{one.name}{one.specifier}" for one in requirements if one not in lacking and not one.url)
    wanted = sorted(map(str, lacking))
    name = digest_json([pins, wanted, sys.version_info[:2], sys.platform, os.uname().machine])
    layer = layers / name.partition(":")[2][:32]
    if layer.exists():
        return layer
    building = layers / f"{_BUILDING}{os.getpid()}-{uuid.uuid4().hex}"
    try:
        layers.mkdir(parents=True, exist_ok=True)
        _sweep(layers)
        _install(building, wanted, pins)
        building.rename(layer)
    except OSError as error:
        if not layer.exists():  # else somebody else made it meanwhile
            raise ModelError(
                f"{', '.join(wanted)} cannot be kept in {layers}: {error.strerror}; name another "
                "[ifp] cache_folder"
            ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return layer


def _install(folder: Path, wanted: Sequence[str], pins: Sequence[str]) -> None:
    folder.mkdir()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins), encoding="utf-8")
    command = [*_installer(), "--target", str(folder), "--constraint", str(constraints), *wanted]
    log.info("installing %s", ", ".join(wanted))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=user_environment(os.environ, seed=0),
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{', '.join(wanted)} could not be installed within {_SECONDS} s") from None
    if done.returncode:
        raise ModelError(
            f"{', '.join(wanted)} could not be installed ({' '.join(command[1:4])}): "
            f"{done.stdout.strip()[-_SHOWN:]}; install it where the gate runs, or make it available to pip"
        )


def _installer() -> list[str]:
    """Use pip, with the user's configuration; uv where an environment was made without pip."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    if uv is None:
        raise ModelError("neither pip nor uv is here to install what the version asks for")
    return [uv, "pip", "install", "--python", sys.executable]


def _sweep(layers: Path) -> None:
    """Remove what killed builders left."""
    for left in layers.glob(f"{_BUILDING}*"):
        pid = left.name.removeprefix(_BUILDING).partition("-")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(left, ignore_errors=True)

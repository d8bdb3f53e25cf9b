"""Where a training runs: the interpreter, the installed distributions, the machine."""

from __future__ import annotations

import difflib
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from importlib.metadata import Distribution

IMAGE_VARIABLE = "IFP_IMAGE"
"""Environment variable with the container image's name and digest: no process finds it out by itself."""
_NO_GPU = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU."""


def read_environment() -> dict[str, Any]:
    """The interpreter and every installed distribution, with one digest over both; and the image, if told."""
    return _facts({name: entry.version for name, entry in _installed().items()})


def named_environment(names: Iterable[str]) -> dict[str, Any]:
    """The interpreter, the named distributions and what they require, with one digest over all.

    What they require is followed to its end: for this machine's markers, with the extras asked for. What is
    required but not installed is not listed; what is not required may change without changing the digest.

    Args:
        names: Such as `torch`, or with extras `ray[data]`.

    Raises:
        PolicyError: one is not installed, or is no name.
    """
    installed = _installed()
    found: dict[str, str] = {}
    pending = [_named(name, installed) for name in names]
    seen: set[tuple[str, str]] = set()
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        # "" stands for what is required without any extra.
        fresh = {(name, extra) for extra in ("", *wanted.extras)} - seen
        if name in installed and fresh:
            seen |= fresh
            found[name] = installed[name].version
            pending += _required(installed[name], [extra for _, extra in fresh])
    return _facts(found)


def _facts(found: Mapping[str, str]) -> dict[str, Any]:
    facts = {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "distributions": dict(sorted(found.items())),
    }
    return {**facts, "digest": digest_json(facts), "image": os.environ.get(IMAGE_VARIABLE) or None}


def _installed() -> dict[str, Distribution]:
    """Every installed distribution by its normalised name."""
    # Of two with one name the first on the path is imported.
    return {name: entry for entry in reversed(list(distributions())) if (name := _name(entry))}


def _name(entry: Distribution) -> str | None:
    """A distribution's normalised name; None for one that was half removed."""
    try:
        # None from the standard library; the backport that MLflow imports takes its place, and raises.
        return canonicalize_name(entry.name) if entry.name else None
    except FileNotFoundError:
        return None


def _named(text: str, installed: Mapping[str, Distribution]) -> Requirement:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        wanted = None
    if wanted is None or wanted.specifier or wanted.url or wanted.marker:
        raise PolicyError(
            f"train.environment: {text!r} is no distribution's name; expected one such as torch or "
            "ray[data], without a version: the installed one is what counts"
        )
    name = canonicalize_name(wanted.name)
    if name not in installed:
        near = difflib.get_close_matches(name, installed, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "install it where the task runs, or drop it"
        raise PolicyError(f"train.environment: {text!r} is not installed here; {hint}")
    return wanted


def _required(entry: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in entry.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # metadata of an old build that no installer would read either
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def read_hardware() -> dict[str, Any]:
    """CPU, memory, and each GPU with its driver; GPUs as `nvidia-smi` names them.

    `cores` are the machine's logical ones, `threads` those of them that this process may use.
    """
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": gpu_names(),
    }


def device_class() -> str:
    """`cpu`, or the kind of GPU: results differ in their last bits between kinds, so build keys hold it."""
    gpus = [] if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in _NO_GPU else gpu_names()
    return f"cuda: {gpus[0]}" if gpus else "cpu"


def gpu_names() -> list[str]:
    """Each GPU's name and driver version, such as `NVIDIA H100 80GB HBM3, 570.86`; empty without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file, not a path to keep
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

"""Where a training runs: the interpreter, every installed distribution, the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.digest import digest_json

if TYPE_CHECKING:
    from importlib.metadata import Distribution


def read_environment() -> dict[str, Any]:
    """The interpreter and every installed distribution, with one digest over both."""
    # Of two with one name the first on the path is imported.
    found = {name: entry.version for entry in reversed(list(distributions())) if (name := _name(entry))}
    facts = {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "distributions": dict(sorted(found.items())),
    }
    return {**facts, "digest": digest_json(facts)}


def _name(entry: Distribution) -> str | None:
    """A distribution's normalised name; None for one that was half removed."""
    try:
        # None from the standard library; the backport that MLflow imports takes its place, and raises.
        return entry.name.lower().replace("_", "-") if entry.name else None
    except FileNotFoundError:
        return None


def read_hardware() -> dict[str, Any]:
    """CPU, memory, and each GPU with its driver; GPUs as `nvidia-smi` names them."""
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": gpu_names(),
    }


def device_class() -> str:
    """`cpu`, or the kind of GPU: results differ in their last bits between kinds, so build keys hold it."""
    gpus = gpu_names()
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

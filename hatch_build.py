"""Compile the counting of numbers while the wheel is built, where there is a C compiler.

Without one the wheel is as good, and counts with NumPy (`adapters/counting/binning_kernel.py`).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

FOLDER = "airflow_provider_ifp/adapters/counting"
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fopenmp-simd")
# What is computed stays what is written: no joined multiplications and additions.
FLOATS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")


class KernelHook(BuildHookInterface[Any]):
    """Builds `libbinning.so` beside its source, for an editable install too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Compile, or say why not."""
        source = Path(self.root, FOLDER, "binning_kernel.c")
        library = source.with_name("libbinning.so")
        if failed := compile_kernel(source, library):
            self.app.display_warning(f"counting stays with NumPy, which is slower: {failed}")
            return
        build_data["artifacts"].append(f"{FOLDER}/{library.name}")
        build_data["pure_python"] = False
        # ctypes loads it, so one wheel serves every Python of this platform.
        build_data["tag"] = f"py3-none-{next(sys_tags()).platform}"


def compile_kernel(source: Path, library: Path) -> str | None:
    """Compile a library, whole or not at all; return what went wrong."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    compiler = shlex.split(os.environ.get("CC", "cc"))
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder, library.name)
        command = [*compiler, *FLAGS, *FLOATS, f'-DSOURCE_DIGEST="{digest}"', str(source), "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{compiler[0]}: {error.strerror}"
        if done.returncode:
            return f"{shlex.join(command)}: {done.stderr.strip()}"
        made.replace(library)
    return None

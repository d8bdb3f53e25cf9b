"""An environment for each peer: what they require does not go together."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def make_environment(folder: Path, name: str, packages: list[str]) -> Path:
    """Make an environment, once; return its Python."""
    python = folder / "environments" / name / "bin" / "python"
    whole = python.parents[1] / "whole"
    if not whole.exists():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--clear", "--python", "3.11", python.parents[1]], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True)
        whole.touch()
    return python

"""An environment for each peer: what they require does not go together."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "evidently": ["evidently", "pandas<3", "pyarrow"],
    "nannyml": ["nannyml", "statsmodels", "pandas<3", "pyarrow"],
    "frouros": ["frouros", "pandas<3", "pyarrow"],
    "alibi": ["alibi-detect", "pandas<3", "pyarrow<20"],
    "whylogs": ["whylogs", "ipython", "scipy", "pandas<3", "pyarrow"],
    "popmon": ["popmon", "pandas<3", "pyarrow", "setuptools<81"],
    "deepchecks": ["deepchecks", "numpy<2", "scikit-learn<1.6", "pandas<3", "pyarrow<20", "setuptools<81"],
}
"""What each peer's environment holds, beside what it requires itself."""


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

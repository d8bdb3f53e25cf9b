"""The workflows of `.github/workflows`, and their steps run as GitHub runs them.

They run in a copy of this checkout as it stands, what is not committed included. Only the environment is
lent: its packages are linked into the copy, so that `make venv` finds it made. No step runs the tests that
call this, so nothing here starts itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yml")}


def job(name: str) -> dict[str, Any]:
    """The only job of a workflow."""
    (only,) = WORKFLOWS[name]["jobs"].values()
    return only


def steps(name: str) -> dict[str, dict[str, Any]]:
    """The steps that run something, in order: name -> step."""
    return {step["name"]: step for step in job(name)["steps"] if "run" in step}


@dataclass(frozen=True)
class Checkout:
    """A clone with the working tree's state, and this environment's packages under `.venv`."""

    path: Path

    def command(self, workflow: str, step: dict[str, Any], **expressions: str) -> dict[str, Any]:
        """How GitHub runs a step: `bash -e`, with its workflow's, job's and its own variables.

        Returns:
            What `subprocess` takes.
        """
        variables = {
            **WORKFLOWS[workflow].get("env", {}),
            **job(workflow).get("env", {}),
            **step.get("env", {}),
        }
        unknown = {key for key, value in variables.items() if "${{" in str(value)} - set(expressions)
        assert not unknown, f"give the test a value for {unknown}"
        # A make that runs these tests must not look like the parent of the workflow's own.
        outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        # The installed package is this checkout's; the copy's own source comes before it.
        # Of the tests that a step runs a few will do: this suite holds them all.
        own = {"CI": "true", "PYTHONPATH": str(self.path)}
        own["PYTEST_ADDOPTS"] = "-k 'test_durations or features_follow'"
        own["TMPDIR"] = str(self.path.parent)
        # What mypy found out about other packages does not change from one checkout to the next.
        own["MYPY_CACHE_DIR"] = str(ROOT / ".mypy_cache")
        return {
            "args": ["bash", "-e", "-c", step["run"]],
            "cwd": self.path,
            "env": {**outside, **variables, **expressions, **own},
            "stdin": subprocess.DEVNULL,
            "stderr": subprocess.STDOUT,
        }

    def run(
        self, workflow: str, step: dict[str, Any], **expressions: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a step to its end; its output is in `stdout`."""
        command = self.command(workflow, step, **expressions)
        return subprocess.run(**command, stdout=subprocess.PIPE, text=True, check=False)


def check_out(folder: Path) -> Checkout:
    """Make the copy in a folder."""
    clone = folder / "repository"
    _git("clone", "--quiet", str(ROOT), str(clone))
    for name in _git("ls-files", "-z", "--deleted").split("\0")[:-1]:
        (clone / name).unlink()
    changed = _git("ls-files", "-z", "--modified", "--others", "--exclude-standard").split("\0")[:-1]
    for name in changed:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    venv = clone / ".venv"
    venv.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (venv / name).symlink_to(Path(sys.prefix) / name)
    (venv / ".ready").touch()
    return Checkout(clone)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout

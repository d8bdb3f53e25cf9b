"""Policy files: YAML in, `Policy` out, and every problem as `file:line:column: key: what is wrong`.

One wrong file never takes another's Dag away: `load_policies` gives an error in the place of that one policy.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from airflow_provider_ifp.adapters.policy.yaml_places import Document, Mark
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.dialects import translate_dialect
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.policy.problems import Problem, describe, policy_problems

_NEEDS_KEYS = ("train", "monitor", "budget", "job")
"""Sections whose presence means something: one left empty is a question; `null` says that there is none."""


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """Read one policy file.

    Args:
        path: a YAML file, in the canonical form or in one of the accepted dialects.

    Raises:
        PolicyError: the file cannot be read, or is wrong; one line for each problem, from top to bottom.
    """
    file = Path(path)
    try:
        document = Document(file.read_bytes())
    except OSError as error:
        raise PolicyError(
            f"{file}: cannot be read: {error.strerror or error}; expected a YAML file"
        ) from None
    if document.flaws:
        lines = [(flaw.mark, Problem(flaw.path, flaw.message)) for flaw in document.flaws]
        raise PolicyError(_lines(file, lines))
    policy, problems = _check(document, file)
    if problems or policy is None:
        raise PolicyError(_lines(file, [(document.mark_of(problem.path), problem) for problem in problems]))
    return policy


def load_policies(folder: str | os.PathLike[str]) -> Iterator[tuple[Path, Policy | PolicyError]]:
    """Read every *.yaml and *.yml of a folder, by name.

    Subfolders and names that begin with a dot (an editor's) are left alone.

    Yields:
        The file, and its policy or what is wrong with it. Of two files that claim one model, or one Dag, the
        later is the wrong one.

    Raises:
        PolicyError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise PolicyError(f"{root}: no such folder; expected one that holds a YAML file per model")
    yield from _read_together(_files_in(root))


def read_policies(paths: Iterable[Path]) -> Iterator[tuple[Path, Policy | PolicyError]]:
    """Read policy files, and every policy of folders, as `load_policies` does.

    Raises:
        PolicyError: a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        found = _files_in(path) if path.is_dir() else [path]
        if not found:
            raise PolicyError(f"{path}: no policy in this folder; expected files ending in .yaml or .yml")
        files += found
    yield from _read_together(dict.fromkeys(files))


def _files_in(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()
    ]


def _read_together(paths: Iterable[Path]) -> Iterator[tuple[Path, Policy | PolicyError]]:
    taken: dict[str, Path] = {}
    for path in paths:
        try:
            policy = load_policy(path)
            _claim(policy, path, taken)
        except PolicyError as error:
            yield path, error
        else:
            yield path, policy


def _check(document: Document, file: Path) -> tuple[Policy | None, list[Problem]]:
    """Turn a file's data into a policy; problems have the file's places."""
    data = document.data
    if data is None:
        return None, [Problem((), "the file is empty; expected keys such as `model:`, `data:` and `train:`")]
    if not isinstance(data, dict):
        return None, [Problem((), f"expected a mapping of keys, found {describe(data)}")]
    translation = translate_dialect(data)
    problems = list(translation.problems)
    mapping = {"model": file.stem, **translation.mapping}
    for key in _NEEDS_KEYS:
        place = translation.place_in_file((key,))
        if key in mapping and place in document.blank:
            text = f"is empty; give it keys, write `{key}: {{}}` for its defaults, or leave it out"
            problems.append(Problem(place, text))
    policy = None
    try:
        policy = Policy.model_validate(mapping, context={"folder": file.parent})
    except ValidationError as error:
        problems += [
            Problem(translation.place_in_file(problem.path), _about_model(problem, translation.mapping, file))
            for problem in policy_problems(error, Policy)
        ]
    return policy, problems


def _about_model(problem: Problem, mapping: dict[str, object], file: Path) -> str:
    """Say where a wrong model name came from, when the file does not give it."""
    if problem.path == ("model",) and "model" not in mapping:
        return f"the file's name {file.stem!r} is no model name (letters, digits, _ and -); write `model:`"
    return problem.message


def _lines(file: Path, problems: list[tuple[Mark, Problem]]) -> str:
    ordered = sorted(problems, key=lambda entry: (entry[0].line, entry[0].column))
    return "\n".join(f"{file}:{mark.line}:{mark.column}: {problem}" for mark, problem in ordered)


def _claim(policy: Policy, path: Path, taken: dict[str, Path]) -> None:
    """Note what a policy claims: its model, and the names of its Dags.

    Raises:
        PolicyError: an earlier file claims it already.
    """
    claims = [f"model {policy.model!r}", *(f"Dag {name!r}" for name in policy.dag_ids)]
    for claim in claims:
        if claim in taken:
            raise PolicyError(
                f"{path}:1:1: model: {taken[claim]} already has {claim}; rename one, or make them one file"
            )
    taken.update(dict.fromkeys(claims, path))

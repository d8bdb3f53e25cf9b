"""What a policy's paths and addresses stand for, here and now; the policy itself keeps them as written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from airflow_provider_ifp.core.errors import PolicyError

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def resolve_place(text: str, folder: Path | None, model: str) -> str:
    """Expand variables, then take a relative path from the policy file's folder; see `Policy.resolve`.

    Args:
        text: As the policy has it.
        folder: The policy file's; None: the policy is from no file.
        model: Whose policy it is, for messages.

    Raises:
        PolicyError: a variable is not set, `${` is not closed, or a relative path has no folder.
    """
    expanded = expand_variables(text)
    if _SCHEME.match(expanded):
        return expanded
    path = Path(expanded).expanduser()
    if path.is_absolute():
        return str(path)
    if folder is None:
        raise PolicyError(
            f"{text!r}: a relative path, and the policy of {model} is from no file; make it absolute"
        )
    return os.path.normpath(folder / path)


def expand_variables(text: str) -> str:
    """Replace each `${NAME}` by the environment's value.

    Raises:
        PolicyError: a variable is not set, or `${` does not begin such a name.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return os.environ[match["name"]]
        except KeyError:
            raise PolicyError(
                f"{text!r}: the environment variable {match['name']} is not set; set it where this runs"
            ) from None

    if "${" in _VARIABLE.sub("", text):
        raise PolicyError(
            f"{text!r}: expected ${{NAME}} (letters, digits, _), found a `${{` that begins no such name"
        )
    return _VARIABLE.sub(value, text)

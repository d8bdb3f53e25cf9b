"""pydantic's errors, said in the words of a policy: which key, expected against found, which key is near."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from airflow_provider_ifp.core.policy.types import Path

_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "string_too_short": "some text",
    "too_short": "at least one entry",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "literal_error": "{expected}",
}
_SECRET = frozenset({"routing_key", "url", "webhook"})
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy.

    >>> print(Problem(("trigger", "any", 0, "window"), "expected a duration such as 7d, found 7"))
    trigger.any[0].window: expected a duration such as 7d, found 7
    """

    path: Path
    message: str

    def __str__(self) -> str:
        """Write the line that users read."""
        return f"{format_path(self.path)}: {self.message}" if self.path else self.message


def format_path(path: Path) -> str:
    """Write a place as users think of it.

    >>> format_path(("trigger", "any", 0, "window"))
    'trigger.any[0].window'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def describe(value: object) -> str:
    """Say what was found, with its kind where the kind is what is wrong.

    >>> describe("0.1"), describe(True), describe(None), describe([1])
    ("text '0.1'", 'true', 'nothing', 'a list')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            shown = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
            return f"text {shown!r}"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case _:
            return str(value)


def policy_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Turn a validation error into problems, in the order of the model's keys.

    Args:
        error: what pydantic found.
        model: the model that was validated, whose keys tell which one is near.
    """
    problems = [
        _problem(details, model)
        for details in error.errors(include_url=False)
        if not (
            details["type"] == "too_short" and details["input"]
        )  # its entries are wrong, and named already
    ]
    return list(dict.fromkeys(problems))


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, place, found = details["type"], details["loc"], details["input"]
    path = tuple(part for part in place if not _is_tag(part))
    if kind == "policy":
        return Problem(path, details["msg"])
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(path, _models_at(place[:-1], model), model))
    if kind == "missing":
        return Problem(path, "missing; this key is needed here")
    if kind == "unknown_type":
        return _unknown_type(path, found, details["msg"])
    if kind == "invalid_key" or path[-1:] == ("[key]",):
        place = path[:-2] if path[-1:] == ("[key]",) else path[:-1]
        return Problem(place, "expected text as keys, found another kind; put the key in quotes")
    return Problem(path, _unexpected(details, secret=bool(path) and path[-1] in _SECRET))


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _unexpected(details: ErrorDetails, *, secret: bool) -> str:
    """Say expected against found, with a hint where YAML itself misleads."""
    kind, found = details["type"], details["input"]
    expected = _EXPECTED.get(kind, "").format(**details.get("ctx", {})) or details["msg"]
    shown = "another value" if secret else describe(found)
    hint = ""
    if kind == "string_type" and isinstance(found, bool | int | float) and not secret:
        hint = "; put it in quotes"
    elif kind == "literal_error" and isinstance(found, str):
        choices = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
        hint = _nearest(found, choices)
    return f"expected {expected}, found {shown}{hint}"


def _nearest(word: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _unknown_type(path: Path, found: object, types: str) -> Problem:
    """Say that a mapping's `type` is missing or unknown."""
    if not isinstance(found, Mapping):
        return Problem(path, f"expected a mapping with a key `type`, found {describe(found)}")
    if "type" not in found:
        return Problem((*path, "type"), f"missing; expected one of {types}")
    kind = found["type"]
    hint = _nearest(kind, types.split(", ")) if isinstance(kind, str) else ""
    return Problem((*path, "type"), f"expected one of {types}, found {describe(kind)}{hint}")


def _unknown_key(path: Path, here: list[type[BaseModel]], root: type[BaseModel]) -> str:
    """Name the section that knows this very key, else the nearest key here, else every key there is here."""
    key = str(path[-1])
    homes = [name for name in root.model_fields if name != path[0] and key in _keys_of(root, name)]
    if len(path) > 1 and key in root.model_fields:
        return f"unknown key here; {key} stands at the top of the file"
    if homes:
        return f"unknown key here; it belongs under {' or '.join(homes)}"
    known = sorted({name for model in here for name in model.model_fields})
    near = difflib.get_close_matches(key, known, n=1)
    return (
        f"unknown key; did you mean {near[0]!r}?"
        if near
        else f"unknown key; known here are {', '.join(known)}"
    )


def _keys_of(root: type[BaseModel], section: str) -> set[str]:
    return {
        name for model in _models_in(root.model_fields[section].annotation) for name in model.model_fields
    }


def _models_at(place: tuple[int | str, ...], root: type[BaseModel]) -> list[type[BaseModel]]:
    """Follow an error's place down to the models that it may stand in; a tag <type> leaves one of several."""
    models = [root]
    for part in place:
        if _is_tag(part):
            tagged = [model for model in models if _type_of(model) == str(part).strip("<>")]
            models = tagged or models
        elif isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return models


def _type_of(model: type[BaseModel]) -> object:
    field = model.model_fields.get("type")
    return field.default if field else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """List the models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]

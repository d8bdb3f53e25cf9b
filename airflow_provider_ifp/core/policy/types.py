"""The small types that the policy's sections share: names, cron text, dates, open mappings.

Everything is strict: YAML's `"0.1"` is text and no number, `1` is no `true`. Each check says what was
expected; where it stands is added by `policy_problems`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    Strict,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from airflow_provider_ifp.core.policy.cron import cron_problem

Path = tuple[str | int, ...]
"""Where something stands in a policy: ("trigger", "any", 0, "threshold")."""


class Section(BaseModel):
    """A part of a policy: frozen, strict, and closed to keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def refusal(text: str) -> PydanticCustomError:
    """Make the error of a field's own check; the text is shown as it is."""
    return PydanticCustomError("policy", "{text}", {"text": text})


def refusals(problems: Sequence[tuple[Path, str]]) -> ValidationError:
    """Make one error of several problems, each at a path below the model that found it."""
    return ValidationError.from_exception_data(
        "policy", [InitErrorDetails(type=refusal(text), loc=path, input=None) for path, text in problems]
    )


def _require_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise refusal(f"expected each name once, found {twice[0]!r} twice")
    return names


def _require_some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise refusal("expected at least one name, found an empty list; leave the key out for its default")
    return names


Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Text, ...], Strict(False), AfterValidator(_require_distinct)]
SomeNames = Annotated[Names, AfterValidator(_require_some)]
DagId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=250)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _require_json(value: object) -> object:
    problems = list(_json_problems(value, ()))
    if problems:
        raise refusals(problems)
    return value


def _json_problems(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Find what JSON cannot hold, each with its own path (pydantic's paths would name its internals)."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _json_problems(item, (*path, key))
            else:
                yield path, f"expected text as keys, found {key!r}; put it in quotes"
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _json_problems(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"expected a finite number, found {value}"
    elif value is not None and not isinstance(value, str | int | float):
        yield path, f"expected text, a number, true or false, found {value}; put it in quotes"


JsonMapping = Annotated[Mapping[str, JsonValue], BeforeValidator(_require_json)]
"""A mapping whose keys are the user's own: text, numbers, truth values, lists and mappings of such."""


def _require_cron(text: str) -> str:
    problem = cron_problem(text)
    if problem:
        raise refusal(f"{problem}; found {text!r}")
    return text


Cron = Annotated[str, AfterValidator(_require_cron)]


def _require_schedule(text: str) -> str:
    problem = None if text == "on_drift" else cron_problem(text)
    if problem:
        raise refusal(f"{problem}; or on_drift, or null for by hand only; found {text!r}")
    return text


Schedule = Annotated[str, AfterValidator(_require_schedule)]


def _read_start(value: object) -> datetime:
    """Take a date (its midnight in UTC), a time, or the ISO text of either; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise refusal(f"expected a date such as 2026-01-01, found {value!r}") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise refusal(f"expected a date such as 2026-01-01, found {value!r}")


def _write_start(value: datetime) -> str:
    return value.date().isoformat() if value.time() == time() else value.isoformat()


StartDate = Annotated[
    datetime,
    BeforeValidator(_read_start),
    PlainSerializer(_write_start, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2026-01-01"]}),
]


def tag_reader(kinds: Mapping[str, str]) -> Callable[[Any], str | None]:
    """Make the function that reads a union's tag from a mapping's `type`, or from a model made before.

    A tag is written <type>, so that no key of a file can be mistaken for it in an error's place.
    """

    def tag(value: Any) -> str | None:
        kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
        return kinds.get(kind) if isinstance(kind, str) else None

    return tag

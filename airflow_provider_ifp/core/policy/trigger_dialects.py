"""Other spellings of `trigger`: one bare condition, `condition:` with text `rules:`, and `type: performance`.

Places here are relative to the trigger; `dialects` knows where the trigger itself stands.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_ifp.core.metrics.names import metric_direction
from airflow_provider_ifp.core.policy.problems import Problem
from airflow_provider_ifp.core.policy.types import Path

_FIRES = {"psi": ">", "wasserstein": ">", "js": ">", "ks_pvalue": "<", "chi2_pvalue": "<"}
_OPERATORS = {">": "gt", "<": "lt", ">=": "gte", "<=": "lte"}
_RULE = re.compile(r"\s*(?P<name>[a-z][a-z0-9_.]*)\s*(?P<operator>[<>]=?)\s*(?P<value>\S+)\s*")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_RENAMED = {"threshold": "value", "min_labeled_samples": "min_labeled_rows"}
_ANY_DRIFT: dict[str, Any] = {"any": ["drift"]}
"""Stands in for a trigger that cannot be read, so that the rest of the file is checked nevertheless."""

Translated = tuple[dict[str, Any], dict[Path, Path], list[Problem]]


def translate_trigger(trigger: Mapping[str, Any]) -> Translated:
    """Turn any of the accepted forms into `any:` or `all:`.

    Returns:
        The canonical trigger; new place -> old place of what moved; what cannot be read, at its old place.

    >>> translate_trigger({"type": "drift", "metric": "psi"})
    ({'any': [{'type': 'drift', 'metric': 'psi'}]}, {('any', 0): ()}, [])
    """
    grouped, moved, problems = dict(trigger), dict[Path, Path](), list[Problem]()
    if "rules" in trigger or "condition" in trigger:
        grouped, moved, problems = _translate_rules(trigger)
    elif "type" in trigger:
        grouped, moved = {"any": [dict(trigger)]}, {("any", 0): ()}
    renamed = _rename_performance(grouped)
    for new, old in _renamed_places(grouped, ()):
        moved[new] = _origin(old, moved)
    return renamed, moved, problems


def _translate_rules(trigger: Mapping[str, Any]) -> Translated:
    """Turn `condition: ALL` with `rules:` into `all:`."""
    condition, rules = trigger.get("condition"), trigger.get("rules")
    group = condition.lower() if isinstance(condition, str) else None
    problems = [
        Problem((key,), "unknown key beside condition and rules")
        for key in trigger
        if key not in ("condition", "rules")
    ]
    if group not in ("any", "all"):
        problems.append(Problem(("condition",), f"expected ALL or ANY beside rules, found {condition!r}"))
    if not isinstance(rules, list) or not rules:
        problems.append(
            Problem(("rules",), f"expected a list of rules such as 'psi > 0.10', found {rules!r}")
        )
    if problems or group is None or not isinstance(rules, list):
        return _ANY_DRIFT, {}, problems
    conditions = []
    for index, rule in enumerate(rules):
        read = _read_rule(rule) if isinstance(rule, str) else rule
        if isinstance(read, str) and read != "drift":
            problems.append(Problem(("rules", index), read))
            read = "drift"
        conditions.append(read)
    moved: dict[Path, Path] = {(group, index): ("rules", index) for index in range(len(rules))}
    return {group: conditions}, moved, problems


def _read_rule(rule: str) -> dict[str, Any] | str:
    """Read one text rule; what comes back as text is what is wrong with it (or the short form `drift`).

    >>> _read_rule("new_labeled_rows > 5000")
    {'type': 'new_labeled_rows', 'min': 5001}
    >>> _read_rule("psi < 0.1")
    "'psi < 0.1': a firing needs psi > a threshold"
    """
    if rule.strip() == "drift":
        return "drift"
    match = _RULE.fullmatch(rule)
    if match is None:
        return f"expected a rule such as 'psi > 0.10', found {rule!r}"
    name, operator, text = match["name"], match["operator"], match["value"]
    if name == "data_freshness":
        return (
            {"type": name, "max_age": text}
            if operator == ">"
            else f"{rule!r}: a firing needs {name} > an age"
        )
    if _NUMBER.fullmatch(text) is None:
        return f"{rule!r}: expected a number after {operator}, found {text!r}"
    return _numeric_rule(name, operator, float(text))


def _numeric_rule(name: str, operator: str, value: float) -> dict[str, Any] | str:
    """Make the condition of a rule whose right side is a number; text is what is wrong with it."""
    fires = _FIRES.get(name)
    if fires is not None and operator != fires:
        return f"'{name} {operator} {value:g}': a firing needs {name} {fires} a threshold"
    if fires is not None:
        return {"type": "drift", "metric": name, "threshold": value}
    if name != "new_labeled_rows":
        return {"type": "metric_threshold", "metric": name, "operator": _OPERATORS[operator], "value": value}
    if operator not in (">", ">=") or not value.is_integer():
        return f"'{name} {operator} {value:g}': a firing needs {name} > a whole number"
    return {"type": name, "min": int(value) + (operator == ">")}  # `min` is inclusive, `>` is not


def _rename_performance(condition: Any) -> Any:
    """Turn `type: performance` into `metric_threshold`, however deep it stands."""
    if not isinstance(condition, Mapping):
        return condition
    if _is_performance(condition):
        return _as_metric_threshold(condition)
    return {
        key: [_rename_performance(entry) for entry in value]
        if key in ("any", "all") and isinstance(value, list)
        else value
        for key, value in condition.items()
    }


def _is_performance(condition: Mapping[str, Any]) -> bool:
    kind = condition.get("type")
    return kind == "performance" or (kind == "metric_threshold" and "min_labeled_samples" in condition)


def _as_metric_threshold(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys; without an operator, what fires is the worse side (own metrics: higher is better)."""
    metric = condition.get("metric")
    worse = "gt" if isinstance(metric, str) and metric_direction(metric) == "lower" else "lt"
    renamed = {_new_name(condition, key): value for key, value in condition.items()}
    if condition["type"] == "performance":
        renamed.setdefault("operator", worse)
    return {**renamed, "type": "metric_threshold"}


def _new_name(condition: Mapping[str, Any], key: str) -> str:
    """Rename a key, unless the condition has the new name too: then the models refuse the old one."""
    name = _RENAMED.get(key, key)
    return key if name in condition or (key == "threshold" and condition["type"] != "performance") else name


def _renamed_places(condition: Any, place: Path) -> Iterator[tuple[Path, Path]]:
    """List new place -> old place of each key that `_rename_performance` renames."""
    if not isinstance(condition, Mapping):
        return
    if _is_performance(condition):
        for key in condition:
            if _new_name(condition, key) != key:
                yield (*place, _new_name(condition, key)), (*place, key)
        return
    for group in ("any", "all"):
        entries = condition.get(group)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            yield from _renamed_places(entry, (*place, group, index))


def _origin(place: Path, moved: Mapping[Path, Path]) -> Path:
    """Follow a move made before; the longest beginning that moved counts."""
    for length in range(len(place), 0, -1):
        if place[:length] in moved:
            return (*moved[place[:length]], *place[length:])
    return place

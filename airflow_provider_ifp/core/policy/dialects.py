"""Other spellings of a policy, turned into the canonical form before it is checked.

Read besides the canonical form are the forms of Inferpathio's documentation, product page and articles, and
both snippets of the seed: a `policy:` wrapper, other triggers (`trigger_dialects`), `pipeline:` at the top,
`monitor.model`, `monitor.alerts`, `auto_promote`, and the key `on` that YAML reads as true.

A dialect only moves and renames: whether a value is right is the models' to say. What is moved keeps a note
of where it stood, so that an error still points at the user's own line. A canonical mapping comes back as it
was.

A dialect's file that names what a firing starts (`pipeline:` at the top, or `job:` in the wrapper) but has
neither `train` nor `monitor` gets an empty `monitor`: someone must watch, or nothing would ever fire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_ifp.core.policy.problems import Problem, describe
from airflow_provider_ifp.core.policy.trigger_dialects import translate_trigger
from airflow_provider_ifp.core.policy.types import Path

_EVENTS = {"drift_detected": "fired", "threshold_crossed": "fired"}
_ONE = "leave one of them out"


@dataclass(slots=True)
class Translation:
    """A mapping on its way to the canonical form; finished when `translate_dialect` returns it.

    Attributes:
        mapping: what the models check. Inner mappings are the caller's own: a step copies what it changes.
        moved: place in `mapping` -> place in the file, for what stands elsewhere there.
        problems: what no canonical form can say; their places are the file's.
    """

    mapping: dict[str, Any]
    moved: dict[Path, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place_in_file(self, path: Path) -> Path:
        """Say where in the file that stands which has this place in the mapping."""
        for length in range(len(path), 0, -1):
            origin = self.moved.get(path[:length])
            if origin is not None:
                return (*origin, *path[length:])
        return path

    def refuse(self, path: Path, message: str) -> None:
        """Note a problem at a place of the mapping."""
        self.problems.append(Problem(self.place_in_file(path), message))


def translate_dialect(raw: Mapping[Any, Any]) -> Translation:
    """Turn any of the accepted forms into the canonical one.

    Args:
        raw: a file's content, as YAML gives it.

    >>> translate_dialect({"trigger": {"condition": "ALL", "rules": ["psi > 0.10"]}}).mapping
    {'trigger': {'all': [{'type': 'drift', 'metric': 'psi', 'threshold': 0.1}]}}
    """
    draft = Translation(dict(raw))
    starts = _unwrap(draft) and "job" in draft.mapping
    starts = _move_pipeline(draft) or starts
    _move_monitor_model(draft)
    _rewrite_notify(draft)
    _move_alerts(draft)
    _read_auto_promote(draft)
    _rewrite_trigger(draft)
    if starts and "train" not in draft.mapping:
        draft.mapping.setdefault("monitor", {})
    return draft


def _unwrap(draft: Translation) -> bool:
    """Lift what stands in `policy:` to the top; say whether there was one."""
    wrapper = draft.mapping.get("policy")
    if not isinstance(wrapper, Mapping):
        return False
    del draft.mapping["policy"]
    for key, value in wrapper.items():
        if key == "name":
            continue
        if key in draft.mapping:
            draft.problems.append(Problem(("policy", key), f"stands at the top of the file too; {_ONE}"))
            continue
        draft.mapping[key] = value
        draft.moved[(key,)] = ("policy", key)
    _keep_name(draft, wrapper.get("name"))
    return True


def _keep_name(draft: Translation, name: object) -> None:
    """A policy's own name has no key in the canonical form: it begins the description."""
    described = draft.mapping.get("description")
    if name is not None and not isinstance(name, str):
        draft.problems.append(Problem(("policy", "name"), f"expected text, found {describe(name)}"))
    elif name and (described is None or isinstance(described, str)):
        draft.mapping["description"] = f"{name}: {described}" if described else name


def _move_monitor_model(draft: Translation) -> None:
    monitor = draft.mapping.get("monitor")
    if not isinstance(monitor, Mapping) or "model" not in monitor:
        return
    named = monitor["model"]
    given = draft.mapping.get("model", named)
    if given != named:
        draft.refuse(("monitor", "model"), f"is {named!r}, but the file's model is {given!r}; {_ONE}")
    if "model" not in draft.mapping:
        draft.moved[("model",)] = draft.place_in_file(("monitor", "model"))
    draft.mapping["model"] = given
    draft.mapping["monitor"] = {key: value for key, value in monitor.items() if key != "model"}


def _move_pipeline(draft: Translation) -> bool:
    """Move a `pipeline` at the top to `monitor.on_trigger`; say whether there was one."""
    if "pipeline" not in draft.mapping:
        return False
    origin = draft.place_in_file(("pipeline",))
    pipeline = draft.mapping.pop("pipeline")
    monitor = draft.mapping.get("monitor", {})
    action = monitor.get("on_trigger", {}) if isinstance(monitor, Mapping) else None
    if not isinstance(action, Mapping):
        return True  # the models refuse the section
    given = action.get("pipeline", pipeline)
    if given != pipeline:
        text = f"is {pipeline!r}, but monitor.on_trigger.pipeline is {given!r}; {_ONE}"
        draft.problems.append(Problem(origin, text))
        return True
    if "pipeline" not in action:
        draft.moved[("monitor", "on_trigger", "pipeline")] = origin
    draft.mapping["monitor"] = {**monitor, "on_trigger": {**action, "pipeline": pipeline}}
    return True


def _rewrite_notify(draft: Translation) -> None:
    notify = draft.mapping.get("notify")
    if isinstance(notify, list):
        draft.mapping["notify"] = [_read_on(entry) for entry in notify]


def _read_on(entry: Any) -> Any:
    """Read the key `true` of a notification as the `on` that was written."""
    if not isinstance(entry, Mapping):
        return entry
    return {("on" if key is True else key): value for key, value in entry.items()}


def _move_alerts(draft: Translation) -> None:
    """Append `monitor.alerts` to `notify`, with this provider's names of keys and events."""
    monitor, notify = draft.mapping.get("monitor"), draft.mapping.get("notify", [])
    if not isinstance(monitor, Mapping) or "alerts" not in monitor:
        return
    alerts = monitor["alerts"]
    draft.mapping["monitor"] = {key: value for key, value in monitor.items() if key != "alerts"}
    if not isinstance(alerts, list):
        draft.refuse(("monitor", "alerts"), f"expected a list, found {describe(alerts)}")
        return
    if not isinstance(notify, list):
        return  # the models refuse it
    for index, alert in enumerate(alerts):
        here: Path = ("notify", len(notify) + index)
        draft.moved[here] = draft.place_in_file(("monitor", "alerts", index))
        if isinstance(alert, Mapping) and "webhook" in alert:
            draft.moved[(*here, "url")] = (*draft.moved[here], "webhook")
    draft.mapping["notify"] = [*notify, *map(_rewrite_alert, alerts)]


def _rewrite_alert(alert: Any) -> Any:
    entry = _read_on(alert)
    if not isinstance(entry, Mapping):
        return entry
    renamed = {("url" if key == "webhook" and "url" not in entry else key): entry[key] for key in entry}
    events = renamed.get("on")
    if isinstance(events, list) and all(isinstance(event, str) for event in events):
        renamed["on"] = list(dict.fromkeys(_EVENTS.get(event, event) for event in events))
    return renamed


def _read_auto_promote(draft: Translation) -> None:
    """Turn `auto_promote` (at the top, in `job` or its `run_config`) into `promote_on_pass`.

    In `run_config` it stays as well: that is what the started Dag is told.
    """
    job = draft.mapping.get("job")
    found: list[tuple[Path, object]] = []
    if "auto_promote" in draft.mapping:
        found.append((("auto_promote",), draft.mapping.pop("auto_promote")))
    if isinstance(job, Mapping):
        config = job.get("run_config")
        if isinstance(config, Mapping) and "auto_promote" in config:
            found.append((("job", "run_config", "auto_promote"), config["auto_promote"]))
        if "auto_promote" in job:
            found.append((("job", "auto_promote"), job["auto_promote"]))
            draft.mapping["job"] = {key: value for key, value in job.items() if key != "auto_promote"}
    for path, value in found:
        if isinstance(value, bool):
            _set_promotion(draft, path, "production" if value else "staging")
        else:
            draft.refuse(path, f"expected true or false, found {describe(value)}")


def _set_promotion(draft: Translation, path: Path, stage: str) -> None:
    validation = draft.mapping.get("validation", {})
    if not isinstance(validation, Mapping):
        return  # the models refuse it
    given = validation.get("promote_on_pass", stage)
    if given != stage:
        draft.refuse(path, f"means promote_on_pass: {stage}, but validation.promote_on_pass is {given!r}")
        return
    if "promote_on_pass" not in validation:
        draft.moved[("validation", "promote_on_pass")] = draft.place_in_file(path)
    draft.mapping["validation"] = {**validation, "promote_on_pass": stage}


def _rewrite_trigger(draft: Translation) -> None:
    trigger = draft.mapping.get("trigger")
    if not isinstance(trigger, Mapping):
        return
    origin = draft.place_in_file(("trigger",))
    canonical, moved, problems = translate_trigger(trigger)
    draft.mapping["trigger"] = canonical
    draft.moved.update({("trigger", *new): (*origin, *old) for new, old in moved.items()})
    draft.problems += [Problem((*origin, *problem.path), problem.message) for problem in problems]

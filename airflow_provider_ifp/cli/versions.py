"""`ifp versions`, `ifp show`, `ifp history`: what a model's registry and ledger hold."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.cli.options import add_json, add_registry, open_registry
from airflow_provider_ifp.cli.output import DONE, say, say_json, short, table, tell
from airflow_provider_ifp.core.errors import RegistryDeniedError, RegistryError, RegistryUnreachableError

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.cli.options import Commands
    from airflow_provider_ifp.core.registry.lifecycle import Event, Ledger

_SHOWN = 12  # entries of a list or mapping that the readable form shows
_WIDE = 60  # characters of a value in a table of differences


def add_commands(commands: Commands) -> None:
    """Add `versions`, `show` and `history`."""
    versions = commands.add_parser("versions", help="list a model's versions and where each stands")
    versions.add_argument("model", metavar="MODEL")
    versions.set_defaults(command=_versions)
    show = commands.add_parser("show", help="one version with all that made it, or what differs between two")
    show.add_argument("model", metavar="MODEL")
    show.add_argument("version", metavar="VERSION", help="a number, or @staging, @shadow, @production")
    show.add_argument("other", nargs="?", metavar="OTHER", help="another one: say what differs")
    show.set_defaults(command=_show)
    history = commands.add_parser("history", help="who moved or judged which version, when and why")
    history.add_argument("model", metavar="MODEL")
    history.add_argument(
        "--at", type=moment, metavar="TIME", help="as of then, such as 2026-11-01T12:00 (UTC without a zone)"
    )
    history.set_defaults(command=_history)
    for parser in (versions, show, history):
        add_json(parser)
        add_registry(parser)


def moment(text: str) -> datetime:
    """An ISO 8601 time; UTC where it names no zone.

    >>> moment("2026-11-01T13:00+01:00").isoformat()
    '2026-11-01T12:00:00+00:00'
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; expected one such as 2026-11-01T12:00"
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _versions(options: argparse.Namespace) -> int:
    registry = open_registry(options)
    ledger, versions = _ledger(registry, options.model), registry.versions(options.model)
    _require_known(registry, options.model, known=bool(versions or ledger.events))
    standings = ledger.standings
    listed = [
        {
            "version": version.version,
            "stage": standings.get(version.version),
            "content_digest": version.content_digest,
            "build_key": version.build_key,
            "created": _created(version),
        }
        for version in versions
    ]
    if options.json:
        say_json({"versions": listed})
        return DONE
    say(
        table(
            ["VERSION", "STAGE", "CREATED", "CONTENT", "BUILD"],
            [
                (
                    entry["version"],
                    entry["stage"],
                    entry["created"],
                    short(entry["content_digest"]),
                    short(entry["build_key"]),
                )
                for entry in listed
            ],
        )
    )
    return DONE


def _show(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.registry.ledger import resolve
    from airflow_provider_ifp.core.registry.comparison import tree_differences

    registry = open_registry(options)
    standings = _ledger(registry, options.model).standings
    records = [
        describe(registry, resolve(registry, options.model, wanted), standings)
        for wanted in (options.version, options.other)
        if wanted is not None
    ]
    if len(records) == 1:
        if options.json:
            say_json(records[0])
        else:
            _say_record(records[0])
        return DONE
    a, b = records
    differences = list(tree_differences(a, b))
    if options.json:
        say_json(
            {
                "model": options.model,
                "a": a["version"],
                "b": b["version"],
                "differences": [{"field": found.field, "a": found.a, "b": found.b} for found in differences],
            }
        )
        return DONE
    headings = ["FIELD", f"VERSION {a['version']}", f"VERSION {b['version']}"]
    say(table(headings, [(found.field, _cut(found.a), _cut(found.b)) for found in differences]))
    return DONE


def describe(registry: Registry, version: ModelVersion, standings: dict[str, str]) -> dict[str, Any]:
    """A version's record: its digests and tags, and its provenance (None where it cannot be read)."""
    reproduced = version.tags.get("ifp.reproduced")
    return {
        "model": version.model,
        "version": version.version,
        "stage": standings.get(version.version),
        "created": _created(version),
        "content_digest": version.content_digest,
        "files_digest": version.files_digest,
        "build_key": version.build_key,
        "run_id": version.run_id,
        "stored": version.stored.uri,
        "tags": {key: value for key, value in version.tags.items() if not key.startswith("ifp.")},
        **({"reproduced": _parsed(reproduced)} if reproduced else {}),
        "provenance": _provenance(registry, version),
    }


def _provenance(registry: Registry, version: ModelVersion) -> Any:
    from airflow_provider_ifp.training.registration import PROVENANCE

    try:
        content = registry.get_file(version.run_id, PROVENANCE)
        if content is not None:
            return json.loads(content)
        reason = "its training run has none"
    except (RegistryUnreachableError, RegistryDeniedError):
        raise
    except (RegistryError, ValueError) as error:
        reason = str(error)
    tell(f"ifp: {version.model} version {version.version}: no {PROVENANCE}: {reason}")
    return None


def _history(options: argparse.Namespace) -> int:
    registry = open_registry(options)
    ledger = _ledger(registry, options.model)
    known = bool(ledger.events) or registry.latest(options.model) is not None
    _require_known(registry, options.model, known=known)
    if options.at is not None:
        ledger = ledger.at(options.at)
    if options.json:
        told: dict[str, Any] = {"events": [event.to_json() for event in ledger.events]}
        if options.at is not None:
            told |= {"at": options.at.isoformat(), "stages": _stages(ledger)}
        say_json(told)
        return DONE
    say(_events_table(ledger.events) if ledger.events else "no event")
    if options.at is not None:
        say(f"\nAt {options.at.isoformat()}:")
        say(table(["STAGE", "VERSION"], _stages(ledger).items()))
    return DONE


def _events_table(events: tuple[Event, ...]) -> str:
    return table(
        ["EVENT", "TIME", "ACTOR", "ACTION", "VERSION", "FROM", "TO", "REPLACED", "VERDICT", "REASON"],
        [
            (
                event.number,
                event.time,
                event.actor,
                _action(event),
                event.version,
                event.source,
                event.target,
                event.replaced,
                short(event.verdict_digest),
                event.reason or None,
            )
            for event in events
        ],
    )


def _action(event: Event) -> str:
    if event.verdict is not None:
        return f"{event.action}: {event.verdict}"
    return f"{event.action} (override by {event.override})" if event.override else event.action


def _stages(ledger: Ledger) -> dict[str, str | None]:
    from airflow_provider_ifp.core.registry.lifecycle import STAGES

    return {stage: ledger.stages.get(stage) for stage in STAGES}


def _ledger(registry: Registry, model: str) -> Ledger:
    from airflow_provider_ifp.adapters.registry.ledger import read_ledger

    return read_ledger(registry, model)


def _require_known(registry: Registry, model: str, *, known: bool) -> None:
    from airflow_provider_ifp.core.errors import VersionNotFoundError

    if not known:
        raise VersionNotFoundError(f"there is no model {model!r} in {registry.uri}: no version, no ledger")


def _created(version: ModelVersion) -> str:
    return datetime.fromtimestamp(version.created / 1000, UTC).isoformat(timespec="seconds")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _say_record(record: dict[str, Any]) -> None:
    import yaml

    say(yaml.safe_dump(_readable(record), sort_keys=False, allow_unicode=True, width=110).rstrip())


def _readable(value: Any) -> Any:
    """The record with its long lists and mappings counted instead of printed."""
    if isinstance(value, dict | list) and len(value) > _SHOWN and not _holds_records(value):
        return f"{len(value)} entries (--json shows them)"
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _holds_records(value: dict[str, Any] | list[Any]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, dict | list) for item in items)


def _cut(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"

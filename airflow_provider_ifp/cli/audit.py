"""`ifp verify` and `ifp audit`: is what the registry and the store hold what was registered and moved?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.cli.options import add_json, add_registry, open_registry
from airflow_provider_ifp.cli.output import DONE, NO, say, say_json

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands
    from airflow_provider_ifp.loop.registry.audit import Audit


def add_commands(commands: Commands) -> None:
    """Add `verify` and `audit`."""
    verify = commands.add_parser("verify", help="download a version and name each file that is not as it was")
    verify.add_argument("model", metavar="MODEL")
    verify.add_argument("version", metavar="VERSION", help="a number, or @staging, @shadow, @production")
    verify.set_defaults(command=_verify)
    audit = commands.add_parser("audit", help="hold registry and artifact store against the promotion ledger")
    audit.add_argument("model", metavar="MODEL")
    audit.add_argument("--repair", action="store_true", help="first make the aliases follow the ledger again")
    audit.add_argument("--quick", action="store_true", help="download no model files")
    audit.set_defaults(command=_audit)
    for parser in (verify, audit):
        add_json(parser)
        add_registry(parser)


def _verify(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.adapters.registry.ledger import resolve
    from airflow_provider_ifp.loop.registry.verify import verify

    registry = open_registry(options)
    version = resolve(registry, options.model, options.version)
    found = verify(registry, version)
    ok = not found.problems
    if options.json:
        say_json({"ok": ok, "content_digest": found.content_digest, "problems": list(found.problems)})
    elif ok:
        say(f"{version.model} version {version.version}: ok, {found.content_digest}")
    else:
        say(f"{version.model} version {version.version} is not what was registered:")
        for problem in found.problems:
            say(f"  {problem}")
    return DONE if ok else NO


def _audit(options: argparse.Namespace) -> int:
    from airflow_provider_ifp.loop.registry.audit import audit, repair

    registry = open_registry(options)
    moved = repair(registry, options.model) if options.repair else None
    found = audit(registry, options.model, quick=options.quick)
    if options.json:
        say_json(_audit_json(found, moved))
    else:
        for move in moved or ():
            say(f"repaired {move}")
        if moved == []:
            say("repaired nothing")
        _say_audit(options.model, found)
    return NO if found.findings else DONE


def _audit_json(found: Audit, moved: list[str] | None) -> dict[str, Any]:
    return {
        "ok": not found.findings,
        "findings": [finding.to_json() for finding in found.findings],
        "looked_at": {
            "events": found.events,
            "versions": found.versions,
            "versions_downloaded": found.verified,
        },
        **({} if moved is None else {"repaired": moved}),
    }


def _say_audit(model: str, found: Audit) -> None:
    count = len(found.findings)
    told = "ok" if not count else f"{count} finding{'' if count == 1 else 's'}"
    say(
        f"{model}: {told} ({found.events:,} events, {found.versions:,} versions, files of {found.verified:,} "
        "downloaded)"
    )
    for finding in found.findings:
        say(f"\n{finding.kind}: {finding.what}\n  {finding.next}")

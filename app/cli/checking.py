"""`leadgate check`: what is wrong with the configuration, and on request what Vitec says of it."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from app.cli.canary import Canary, send_canary
from app.cli.configuration import Configuration, read_configuration
from app.cli.reports import look_at_store
from app.delivery.inspection import Inspector
from app.delivery.pace import Pace
from app.delivery.verdicts import CallFinding, CustomerFinding, IdFinding
from app.errors import ConfigurationError
from app.forms.errands import list_errands
from app.forms.model import Forms
from app.identity import write_reference
from app.store.stories import rename_keys
from app.vitec.client import VitecClient

_LONGEST = timedelta(seconds=15)
"""Of one call: somebody waits at the terminal."""


def check(*, live: bool, canary: str | None, as_json: bool) -> int:
    """Prints what was found; the exit code. Raises LeadgateError for what cannot be looked at."""
    try:
        configuration = read_configuration()
    except ConfigurationError as error:
        if not as_json:
            raise
        _print_json({"ok": False, "mistakes": [asdict(one) for one in error.mistakes]})
        return 1
    warnings = (*configuration.warnings, *look_at_store(configuration.settings))
    configuration = replace(configuration, warnings=warnings)
    findings = asyncio.run(_inspect(configuration)) if live else []
    sent = send_canary(configuration, canary) if canary else None
    ok = all(one.ok for one in findings) and (sent is None or sent.ok)
    if as_json:
        _print_json(_describe(configuration, findings if live else None, sent, ok=ok))
    else:
        _print(configuration, findings, sent, live=live)
    return 0 if ok else 1


async def _inspect(configuration: Configuration) -> list[CustomerFinding]:
    settings = configuration.settings
    async with VitecClient(timeout=min(settings.vitec_timeout, _LONGEST)) as client:
        return await Inspector(client=client, pace=Pace(settings.vitec_rate)).inspect(configuration.forms)


def _list_sources(forms: Forms) -> dict[str, list[str]]:
    """The lead and assignment sources, and the tables that name them."""
    named: dict[str, list[str]] = {}
    for errand in list_errands(forms):
        destination = errand.destination
        for source in filter(None, (destination.lead_source_id, destination.assignment_source_id)):
            named.setdefault(source, []).append(errand.key)
    return {source: list(dict.fromkeys(keys)) for source, keys in named.items()}


_UNLISTED = "Vitec has no call that lists lead sources or assignment sources"


def _describe(
    configuration: Configuration, findings: Sequence[CustomerFinding] | None, sent: Canary | None, *, ok: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ok": ok,
        "forms": len(configuration.forms.forms),
        "warnings": [asdict(one) for one in configuration.warnings],
    }
    if findings is not None:
        told["live"] = [rename_keys(asdict(one)) | {"ok": one.ok} for one in findings]
        told["notListed"] = {"because": _UNLISTED, "sources": _list_sources(configuration.forms)}
    if sent is not None:
        told["canary"] = rename_keys(asdict(sent)) | {
            "ok": sent.ok,
            "reference": write_reference(sent.reference),
        }
    return told


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def _print(
    configuration: Configuration, findings: Sequence[CustomerFinding], sent: Canary | None, *, live: bool
) -> None:
    for warning in configuration.warnings:
        print(f"warning: {warning}")
    if live:
        for finding in findings:
            _print_customer(finding)
        _print_sources(configuration.forms)
    if sent is not None:
        _print_canary(sent)
    forms, warnings = len(configuration.forms.forms), len(configuration.warnings)
    told = f"{forms} form{'s' * (forms != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    wrong = sum(not one.ok for one in findings)
    if wrong:
        print(
            f"not ok: Vitec answers otherwise than {wrong} of {len(findings)} customers need", file=sys.stderr
        )
    elif sent is not None and not sent.ok:
        print(f"not ok: the canary {sent.verdict}", file=sys.stderr)
    else:
        print(f"ok: {told}")


def _print_customer(finding: CustomerFinding) -> None:
    print(f"\ncustomer {finding.customer_id}, login {finding.login}, {finding.base_url}")
    for call in finding.calls:
        _print_call(call)
    for one in finding.ids:
        mark = "?      " if one.verdict == "not_asked" else _mark(ok=one.verdict == "ok")
        print(f"  {mark} {one.what} {one.id}: {_explain_id(one)}")
    for tip in finding.suggestions:
        print(f"  tip     a fallback receiver for {', '.join(tip.forms)}: {tip.because}")
        print(
            f'          [receivers.NAME] with assigned_to_id = "{tip.receiver_id}", and fallback_receiver = "NAME"'
        )


def _print_call(call: CallFinding) -> None:
    print(f"  {_mark(ok=call.ok)} {call.group:<7} {call.call}: {call.status or 'no answer'}, {call.told}")


def _mark(*, ok: bool) -> str:
    return "ok     " if ok else "MISTAKE"


def _explain_id(one: IdFinding) -> str:
    used = f"({', '.join(one.used_by)})"
    match one.verdict:
        case "ok":
            assert one.listed is not None
            return f"{one.listed.kind} {one.listed.name} {used}"
        case "archived":
            assert one.listed is not None
            return f"{one.listed.kind} {one.listed.name} is archived: every lead would be refused {used}"
        case "unknown" if one.what == "office":
            return f"no such office is listed {used}"
        case "unknown":
            return f"no such user, user group or office is listed; users that are not public never are {used}"
    return f"not asked, because the listings could not be read {used}"


def _print_sources(forms: Forms) -> None:
    print(f"\n{_UNLISTED}; whether these are right, only a lead shows (--canary FORM):")
    for source, keys in _list_sources(forms).items():
        print(f"          {source} ({', '.join(keys)})")


def _print_canary(sent: Canary) -> None:
    print(f"\ncanary {write_reference(sent.reference)} of form {sent.form}")
    if sent.vitec_lead_id is None:
        print(
            f"  {_mark(ok=False)} {sent.verdict}; see `leadgate leads show {write_reference(sent.reference)}`"
        )
        return
    print(f"  {_mark(ok=True)} created in Vitec as {sent.vitec_lead_id} of contact {sent.contact_id}")
    for call in sent.calls:
        _print_call(call)
    proven = "a lost answer is looked up" if sent.ok else "a lead whose answer is lost waits for a human"
    print(f"          so {proven}; remove lead and contact from Vitec when you like")

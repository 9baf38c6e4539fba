"""The control API: commands that change the sandbox, and views of all it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from destination.sandbox.bench import Bench
from destination.sandbox.clock import written
from destination.sandbox.keys import DEFAULT_ACCOUNT
from destination.sandbox.world import profiles as world
from destination.sandbox.world.events import Event
from destination.sandbox.world.jobs import CANCELLED, COMPLETE, PROCESSING, QUEUED, Job
from destination.sandbox.world.lists import Group, join
from destination.sandbox.world.profiles import Profile
from destination.sandbox.world.subscribing import confirm

Command = Callable[[Bench, Any, float], Any]


def command(bench: Bench, name: str, body: Any, now: float) -> Any:
    """Do the command ``name``; raises ``ValueError`` when it is unknown or wrongly used."""
    if name not in COMMANDS:
        raise ValueError(f"no command {name[:60]!r}; there are: {', '.join(sorted(COMMANDS))}")
    try:
        return COMMANDS[name](bench, body, now)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: {type(error).__name__}: {error}") from error


def state(bench: Bench, name: str, now: float) -> dict[str, Any]:
    """All that an account holds, as JSON."""
    account = bench.account(name)
    return {
        "account": name,
        "now": written(now),
        "profiles": [_profile(each) for each in account.profiles],
        "lists": [_group(each) for each in account.lists],
        "segments": [_group(each) for each in account.segments],
        "metrics": [{"id": each.id, "name": each.name} for each in account.metrics],
        "events": [_event(each) for each in account.events],
        "jobs": [_job(each) for each in account.jobs],
        "mails": [
            {"kind": each.kind, "email": each.email, "list": each.list, "sent": written(each.sent)}
            for each in account.mails
        ],
        "pending": [
            {"profile": each.profile, "channel": each.channel, "list": each.list}
            for each in account.pending
        ],
        "dropped": [
            {"what": each.what, "reason": each.reason, "at": written(each.at)}
            for each in account.dropped
        ],
        "merged": account.merged,
        "counts": counts(bench, name, now),
    }


def counts(bench: Bench, name: str, now: float) -> dict[str, Any]:
    """How much of everything an account holds."""
    account = bench.account(name)
    return {
        "profiles": len(account.profiles),
        "lists": len(account.lists),
        "segments": len(account.segments),
        "members": {each.id: len(each.members) for each in account.lists},
        "metrics": len(account.metrics),
        "events": len(account.events),
        "events_by_metric": dict(Counter(each.metric.name for each in account.events)),
        "duplicate_events": account.events.duplicates,
        "jobs": dict(Counter(each.status for each in account.jobs)),
        "mails": len(account.mails),
        "dropped": len(account.dropped),
        "pending_work": len(account.schedule),
        "now": written(now),
    }


def _reset(bench: Bench, _body: Any, _now: float) -> Any:
    bench.clear()
    return {"reset": True}


def _advance(bench: Bench, body: Any, now: float) -> Any:
    seconds = float(body["seconds"])
    if seconds < 0:
        raise ValueError(f"advance: seconds must not be negative, but are {seconds}")
    bench.clock.advance(seconds)
    bench.settle(now + seconds)
    return {"now": written(now + seconds)}


def _keys(bench: Bench, body: Any, _now: float) -> Any:
    for each in body if isinstance(body, list) else [body]:
        bench.keys.set(
            each["key"],
            each.get("account", DEFAULT_ACCOUNT),
            revoked=bool(each.get("revoked")),
            scopes=each.get("scopes"),
        )
    return {"keys": bench.keys.state()}


def _faults(bench: Bench, body: Any, _now: float) -> Any:
    rules = body if isinstance(body, list) else [body]
    return {"ids": [bench.faults.add(rule) for rule in rules], "faults": bench.faults.state()}


def _clear_faults(bench: Bench, _body: Any, _now: float) -> Any:
    bench.faults.clear()
    return {"faults": []}


def _switches(bench: Bench, body: Any, _now: float) -> Any:
    bench.switches.update(body)
    return bench.switches.state()


def _seed(bench: Bench, body: Any, now: float) -> Any:
    """Put profiles, lists and segments there, with ids of one's own choice."""
    account = bench.account(body.get("account", DEFAULT_ACCOUNT))
    made: list[str] = []
    for each in body.get("profiles", []):
        owners = account.profiles.owners(each)
        profile = owners[0][1] if owners else account.profiles.create(now)
        world.apply(account.profiles, profile, each, now)
        made.append(profile.id)
    for kind, groups in (("lists", account.lists), ("segments", account.segments)):
        for each in body.get(kind, []):
            details = {"opt_in": each["opt_in_process"]} if "opt_in_process" in each else {}
            group = groups.get(each["id"]) or groups.create(
                each["id"], each.get("name", each["id"]), now, **details
            )
            for email in each.get("members", []):
                member = account.profiles.owner("email", email)
                if member is None:
                    member = account.profiles.create(now)
                    account.profiles.identify(member, "email", email)
                if kind == "lists":
                    join(group, member, now)
                else:
                    group.members.setdefault(member.id, now)
    return {"profiles": made}


def _job_command(bench: Bench, body: Any, now: float) -> Any:
    """End a job from outside: ``{"id": ..., "status": "cancelled" | "gone" | ...}``."""
    account = bench.account(body.get("account", DEFAULT_ACCOUNT))
    if body["status"] == "gone":
        return {"gone": account.jobs.forget(body["id"])}
    if body["status"] not in {QUEUED, PROCESSING, COMPLETE, CANCELLED}:
        raise ValueError(f"a job is never {body['status']!r}")
    found = [each for each in account.jobs if each.id == body["id"]]
    for job in found:
        job.status = body["status"]
        job.completed = now if job.status in {COMPLETE, CANCELLED} else None
    return {"jobs": [_job(each) for each in found]}


def _confirm(bench: Bench, body: Any, now: float) -> Any:
    """Play the person who confirms: ``{"email" or "phone_number": ..., "list": optional id}``."""
    account = bench.account(body.get("account", DEFAULT_ACCOUNT))
    name = "email" if "email" in body else "phone_number"
    profile = account.profiles.owner(name, body[name])
    if profile is None:
        raise ValueError(f"confirm: nobody has the {name} {body[name][:60]!r}")
    return {"confirmed": confirm(account, profile, body.get("list"), now)}


def _consent(bench: Bench, body: Any, now: float) -> Any:
    """Play the person who clicks, or the mailbox that bounces.

    ``{"email": ..., "unsubscribe": ["email.marketing"], "subscribe": [...], "suppress": [reason]}``
    """
    account = bench.account(body.get("account", DEFAULT_ACCOUNT))
    profile = account.profiles.owner("email", body["email"])
    if profile is None:
        raise ValueError(f"consent: nobody has the email {body['email'][:60]!r}")
    for channel in body.get("subscribe", []):
        profile.consent.subscribe(channel, now, now, source=None, double=True)
    for channel in body.get("unsubscribe", []):
        profile.consent.unsubscribe(channel, now)
    for reason in body.get("suppress", []):
        profile.consent.suppressed.setdefault(reason, now)
    return profile.consent.state()


COMMANDS: Mapping[str, Command] = {
    "reset": _reset,
    "advance": _advance,
    "keys": _keys,
    "faults": _faults,
    "faults/clear": _clear_faults,
    "switches": _switches,
    "seed": _seed,
    "jobs": _job_command,
    "confirm": _confirm,
    "consent": _consent,
}


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        **profile.identifiers,
        **profile.attributes,
        "other_emails": profile.other_emails,
        "location": profile.location,
        "properties": profile.properties,
        "created": written(profile.created),
        "updated": written(profile.updated),
        "lists": sorted(profile.lists),
        "consent": profile.consent.state(),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "opt_in_process": group.opt_in,
        "members": list(group.members),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "profile": event.profile,
        "metric": event.metric.name,
        "unique_id": event.unique_id,
        "time": written(event.timestamp),
        "value": event.value,
        "value_currency": event.currency,
        "properties": event.properties,
        "backfill": event.backfill,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "total": job.total,
        "completed": job.done,
        "failed": job.failed,
        "skipped": job.skipped,
        "lists": job.lists,
        "errors": [{"row": each.row, "detail": each.detail} for each in job.errors],
    }

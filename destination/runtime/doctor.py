"""A check-up of an installation: Redis, mappings and every connection's account."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis

from destination.catalogue import remedy
from destination.errors import NoRoom, SettingsError
from destination.event import decode
from destination.klaviyo.doctor import Finding, Use, examine
from destination.klaviyo.operations import operation_at
from destination.registry import DESTINATIONS
from destination.runtime.delivery.client import Client
from destination.runtime.delivery.connections import address_of
from destination.runtime.delivery.limiter import Limiter, limited
from destination.runtime.local.embedded import remarks, unfit
from destination.runtime.presets import mapping_files, read_mappings
from destination.runtime.recent_deliveries import recent_deliveries
from destination.runtime.store import PREFIX, Scripts, account_of, connect
from destination.sending import Account, Request, Response, Send
from destination.settings import Connection, Settings

PATIENCE = 15.0
"""Seconds to wait for room in the account's limits: its dearest call is allowed 15 times a minute."""

KLAVIYO_HOST = "https://a.klaviyo.com"

Line = tuple[str, Finding]
"""The connection that a finding is about, empty for the whole installation."""


def checkup(settings: Settings, redis_url: str | None) -> Iterator[Line]:
    """Everything that can be found out without changing anything, line by line.

    Without a Redis, or with one that does not answer, the rest is looked at all the same.
    """
    for warning in settings.warnings:
        yield "", Finding("settings", "warning", warning)
    client = connect(redis_url) if redis_url else None
    try:
        info = _info(client) if client is not None else {}
        if client is not None and not info:
            message = "does not answer"
            yield "", Finding("redis", "problem", message, "Start it, or correct REDIS_URL.")
        elif client is not None:
            yield from (("", found) for found in examine_redis(info, settings))
        for name, connection in settings.connections.items():
            for found in examine_connection(connection, settings, client if info else None):
                yield name, found
    finally:
        if client is not None:
            client.close()


def _info(client: redis.Redis) -> dict[str, Any]:
    try:
        info: Any = client.info("everything")
    except (redis.RedisError, OSError):
        return {}
    return dict(info)


def examine_redis(info: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """Whether Redis keeps what it is given, by its ``INFO``."""
    problems = unfit(info, accept_volatile=settings.accept_volatile)
    for problem in problems:
        yield Finding("redis", "problem", problem)
    if info.get("role") == "slave":
        yield Finding("redis", "problem", "is a read-only replica", "Set REDIS_URL to its primary.")
    yield from (Finding("redis", "warning", remark) for remark in remarks(info))
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if most and used > most * settings.memory_watermark:
        message = f"is filled to {used / most:.0%}: no event is accepted"
        yield Finding("redis", "problem", message, "Give it more memory, or let workers drain it.")
    if not problems:
        share = f" of {most / 2**20:,.0f}" if most else ""
        version = info.get("valkey_version") or info["redis_version"]
        size = f"{used / 2**20:,.1f}{share} MB used"
        policy = info.get("maxmemory_policy", "noeviction")
        kept = "append-only file" if info.get("aof_enabled") else "nothing is kept on disk"
        yield Finding("redis", "ok", f"version {version}, {kept}, {policy}, {size}")


def examine_connection(
    connection: Connection, settings: Settings, client: redis.Redis | None
) -> Iterator[Finding]:
    """Mappings, key and account of one connection."""
    try:
        base, key = address_of(connection, settings)
    except SettingsError as error:
        yield Finding("key", "warning", str(error))
        yield from examine_mappings(connection)[1]
        return
    if connection.klaviyo_api_key is None:
        yield Finding("target", "ok", f"the sandbox at {base}: nothing reaches Klaviyo")
    elif base.rstrip("/") != KLAVIYO_HOST:
        message = f"requests go to {base}, which is not Klaviyo's address"
        yield Finding("target", "warning", message, "Unset KLAVIYO_API_URL unless it is meant.")
    else:
        yield Finding("target", "ok", "Klaviyo itself")
    uses, findings = examine_mappings(connection)
    yield from findings
    if client is not None:
        yield from examine_halt(client, connection.name)
    yield from _ask_klaviyo(connection, settings, client, base, key, uses)


def examine_mappings(connection: Connection) -> tuple[list[Use], list[Finding]]:
    """The mappings in use, and what is wrong with their files."""
    actions = DESTINATIONS["klaviyo"].actions
    try:
        files = mapping_files(connection.mappings)
        mappings, problems = read_mappings(files, actions)
    except (SettingsError, OSError) as error:
        return [], [Finding("mappings", "problem", str(error))]
    found = [
        Finding(
            "mappings",
            "problem" if each.severity == "error" else "warning",
            str(each),
            "Run `destination check` for all of it." if each.severity == "error" else "",
        )
        for each in problems
    ]
    enabled = [each for each in mappings if each.enabled]
    if not any(each.state == "problem" for each in found):
        state = f"{len(enabled)} of {len(mappings)} are enabled"
        found.append(Finding("mappings", "ok" if enabled else "warning", state))
    return [
        Use(each.name, each.action, _fields(each.fields), each.batch.enabled) for each in enabled
    ], found


def _fields(fields: Any) -> Mapping[str, Any]:
    return fields if isinstance(fields, dict) else {}


def examine_halt(client: redis.Redis, name: str) -> Iterator[Finding]:
    """Whether the connection is paused, and why."""
    text: Any = client.hget(f"{PREFIX}{name}:halt", "reason")
    if text is None:
        return
    reason = decode(text)
    message = f"deliveries are paused: {reason.get('message') or reason.get('code')}"
    yield Finding("state", "problem", message, remedy(str(reason.get("code"))))


def _ask_klaviyo(
    connection: Connection,
    settings: Settings,
    client: redis.Redis | None,
    base: str,
    key: str,
    uses: Sequence[Use],
) -> Iterator[Finding]:
    klaviyo = DESTINATIONS["klaviyo"]
    revision = connection.klaviyo_revision
    deadline = settings.request_timeout
    with Client(base, klaviyo.headers(key, revision), deadline=deadline) as http:
        send: Send = http.send
        if client is not None:
            limits = Limiter(
                Scripts(client), account_of(base + key), klaviyo.windows, deadline=deadline
            )
            send = limited(send, limits, lambda _response: 0.0)
        account = Account(_patient(send), lambda _key, find: find(), time.time(), revision)
        proved = proved_by(client, connection.name) if client is not None else frozenset()
        yield from examine(account, uses, proved)


def _patient(send: Send) -> Send:
    """Wait for room: the workers share the account's limits."""

    def wrapped(request: Request) -> Response:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return send(request)
            except NoRoom as error:
                if time.monotonic() + error.after > end:
                    raise
                time.sleep(max(error.after, 0.05))

    return wrapped


def proved_by(client: redis.Redis, name: str) -> frozenset[str]:
    """The operations that Klaviyo has let this connection do, by the log of recent deliveries."""
    entries = map(decode, recent_deliveries(client, name))
    done = [request for entry in entries for request in entry["requests"]]
    return frozenset(
        operation_at(method, path) for method, path, status in done if 200 <= status < 300
    )

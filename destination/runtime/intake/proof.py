"""Who posts, and what proves it, on the routes that are for servers: webhooks, rows, calls.

A signing secret or a write key of a source proves its sender. The write key of a browser's source
does not: everybody can read it.
"""

from __future__ import annotations

from collections.abc import Iterable

from destination.errors import Rejected
from destination.ingress.credentials import bearer_token, write_key
from destination.ingress.format import Format, Inbound, Options
from destination.ingress.signature import verify_secret
from destination.runtime.intake.gate import Gate
from destination.settings import Source

_HOW = (
    "send the source's write key (X-Write-Key, basic authentication, Bearer, ?writeKey=) or sign"
    " the request with its signing secret"
)


def credential_of(inbound: Inbound) -> str | None:
    """The key or secret in a request's headers or address."""
    return write_key(inbound.headers, inbound.query, None) or bearer_token(inbound.headers)


def by_credential(gate: Gate, credentials: Iterable[str | None], name: str = "") -> Source:
    """The source that has one of these texts as a write key or signing secret.

    With ``name`` it must be that one. Raises ``Rejected``: 401, 403 for a browser's key, 404 for a
    source that there is not.
    """
    named = named_source(gate, name) if name else None
    for text in filter(None, credentials):
        source = gate.with_secret(text) or gate.known(text)
        if source is None or (named and source.name != named.name):
            continue
        if source.kind == "browser" and gate.with_secret(text) is None:
            raise Rejected(
                403,
                "public_key",
                f"the write key of the source {source.name!r} is public (kind browser) and opens"
                " only the tracking API; make a source of kind server",
            )
        return source
    raise _unknown("carries no credential that is known")


def named_source(gate: Gate, name: str) -> Source:
    """The source of this name. Raises ``Rejected`` 404."""
    source = gate.settings.sources.get(name)
    if source is None:
        raise Rejected(
            404, "unknown_source", f"there is no source {name[:64]!r}; check the address"
        )
    return source


def by_webhook(gate: Gate, format_: Format, inbound: Inbound, name: str) -> Source:
    """The source of a webhook whose sender is proven.

    It is the one that the path names, else the one whose write key the request carries in its
    headers or address, else the only one with signing secrets, else the one whose write key stands
    in the body. Raises ``Rejected``: 401, 403, 404, and what reading the body raises.
    """
    key = credential_of(inbound)
    source = named_source(gate, name) if name else gate.known(key) or _only_signing(gate)
    if source is None:
        key = format_.parse(inbound, Options(limits=gate.limits)).write_key
        return by_credential(gate, [key])
    if source.signing_secrets:
        return _proven(gate, format_, inbound, source, key)
    return by_credential(gate, [key or _key_in_body(gate, format_, inbound)], source.name)


def options_of(gate: Gate, source: Source) -> Options:
    """What the operator chose for the source's webhooks."""
    return Options(
        limits=gate.limits,
        require_full_signature=source.require_full_signature,
        tolerance=source.signature_tolerance,
        extras=source.audience_extras,
        scheme=source.signature,
        credential_header=source.credential_header,
    )


def _proven(
    gate: Gate, format_: Format, inbound: Inbound, source: Source, key: str | None
) -> Source:
    secrets = [secret.get_secret_value() for secret in source.signing_secrets]
    now = inbound.received_at.timestamp()
    verdict = format_.verify(inbound, secrets, now, options_of(gate, source))
    if verdict.accepted:
        return source
    # A wrong signature is never excused by a key: somebody has changed the body or the secret.
    # Senders that do not sign can only show that they have the secret or the key.
    shows = format_.verify is verify_secret and source.signature is None
    if (shows or verdict.code == "missing_signature") and not source.require_full_signature:
        known = gate.known(key or _key_in_body(gate, format_, inbound))
        if known and known.name == source.name and known.kind == "server":
            return source
    way_out = "" if source.require_full_signature else ", or send the source's write key"
    more = way_out if verdict.code == "missing_signature" else ""
    raise Rejected(401, verdict.code, verdict.message + more)


def _key_in_body(gate: Gate, format_: Format, inbound: Inbound) -> str | None:
    return format_.parse(inbound, Options(limits=gate.limits)).write_key


def _only_signing(gate: Gate) -> Source | None:
    signing = gate.signing()
    return signing[0] if len(signing) == 1 else None


def _unknown(what: str) -> Rejected:
    return Rejected(401, "unknown_source", f"the request {what}; {_HOW}")

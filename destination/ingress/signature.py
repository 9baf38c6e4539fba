"""Is a request from who it says? One HMAC verifier for all that sign, and shared secrets.

Secrets are compared as bytes and in constant time. Nothing here raises, whatever a header holds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from destination.ingress.format import Inbound, Options, Scheme, Verdict
from destination.ingress.spans import signed_parts

MAX_HEADER = 8_192
"""Characters of a signature header that are looked at."""

MAX_SIGNATURES = 16
"""Signatures in one header that are looked at: senders put one per secret during a rotation."""

_PLACEHOLDER = re.compile(r"\{(id|timestamp|body)\}")
_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
_VERIFIED = Verdict(accepted=True, code="verified")
_UNSIGNED = Verdict(accepted=True, code="unsigned")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a header claims: the signatures, and the time they are for."""

    signatures: tuple[bytes, ...]
    timestamp: str


def verify_signature(
    inbound: Inbound, secrets: Sequence[str], now: float, options: Options, scheme: Scheme
) -> Verdict:
    """Judge the signature of a request by ``options.scheme`` or else ``scheme``.

    Any of ``secrets`` will do, so that a secret can be changed without a gap. Without secrets there
    is nothing to judge: ``unsigned``. ``now`` is unix seconds.
    """
    scheme = options.scheme or scheme
    if not secrets:
        return _UNSIGNED
    value = inbound.headers.get(scheme.header, "")
    if not value:
        return _refused(
            "missing_signature", f"the header {scheme.header} is missing: sign the request"
        )
    claim = _read(value, scheme, inbound)
    stale = _staleness(claim.timestamp, now, options.tolerance) if _is_timed(scheme) else None
    if stale:
        return stale
    partly = False
    for text, whole in _payloads(inbound, scheme, claim, options):
        if _matches(text, claim.signatures, secrets, scheme):
            if whole:
                return _VERIFIED
            partly = True
    if not partly:
        return _refused(
            "invalid_signature",
            f"the signature in {scheme.header} does not match: check that both sides have the same "
            "secret and that nothing on the way changes the body",
        )
    if options.require_full_signature:
        return _refused(
            "partly_signed",
            "only the first event of the batch is signed: send events one by one",
        )
    return Verdict(accepted=True, code="partly_signed")


def verify_secret(
    inbound: Inbound, secrets: Sequence[str], now: float, options: Options
) -> Verdict:
    """Judge a request whose sender does not sign but carries a shared secret in a header.

    ``options.credential_header`` holds the secret as it is, as a Bearer token, or as the user name or
    the whole of Basic credentials. With ``options.scheme`` the request must be signed instead.
    """
    if options.scheme:
        return verify_signature(inbound, secrets, now, options, options.scheme)
    if not secrets:
        return _UNSIGNED
    value = inbound.headers.get(options.credential_header, "")[:MAX_HEADER]
    if not value:
        return _refused(
            "missing_signature",
            f"the header {options.credential_header} must carry the shared secret",
        )
    known = [hashlib.sha256(_bytes(secret)).digest() for secret in secrets]
    shown = [hashlib.sha256(form).digest() for form in _forms(value)]
    # Every pair is compared, so the time taken does not depend on which one matches.
    if sum(hmac.compare_digest(one, other) for one in known for other in shown):
        return _VERIFIED
    return _refused(
        "invalid_signature", f"the secret in {options.credential_header} is not the one that is set"
    )


def _refused(code: str, message: str) -> Verdict:
    return Verdict(accepted=False, code=code, message=message)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _forms(value: str) -> Iterator[bytes]:
    yield _bytes(value)
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        yield _bytes(rest.strip())
    elif scheme.lower() == "basic":
        plain = _from_base64(rest.strip())
        yield plain
        yield plain.partition(b":")[0]


def _is_timed(scheme: Scheme) -> bool:
    return "{timestamp}" in scheme.payload


def _read(value: str, scheme: Scheme, inbound: Inbound) -> _Claim:
    parts = [value] if not scheme.separator else value[:MAX_HEADER].split(scheme.separator)
    parts = [part.strip() for part in parts[: 2 * MAX_SIGNATURES]]
    timestamp = inbound.headers.get(scheme.timestamp_header, "")
    if scheme.timestamp_prefix:
        times = [part for part in parts if part.startswith(scheme.timestamp_prefix)]
        timestamp = times[0].removeprefix(scheme.timestamp_prefix) if times else ""
    signatures = [
        _unpacked(part.removeprefix(scheme.prefix), scheme)
        for part in parts
        if part.startswith(scheme.prefix) and len(part) <= MAX_HEADER
    ]
    return _Claim(tuple(filter(None, signatures))[:MAX_SIGNATURES], timestamp)


def _unpacked(text: str, scheme: Scheme) -> bytes:
    """The signature's bytes; empty for what is not written as the scheme says."""
    if scheme.encoding == "base64":
        return _from_base64(text)
    return bytes.fromhex(text) if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text) else b""


def _from_base64(text: str) -> bytes:
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:  # not ASCII, not base64
        return b""


def _staleness(timestamp: str, now: float, tolerance: float) -> Verdict | None:
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return _refused(
            "missing_signature", "the signature has no time in unix seconds: send it along"
        )
    skew = int(timestamp) - now
    if abs(skew) <= tolerance:
        return None
    side = "ahead of" if skew > 0 else "behind"
    return _refused(
        "stale_signature",
        f"the signature's time is {abs(skew):.0f} s {side} this server's clock, at most "
        f"{tolerance:g} s are allowed: sign each attempt anew and check both clocks",
    )


def _payloads(
    inbound: Inbound, scheme: Scheme, claim: _Claim, options: Options
) -> Iterable[tuple[bytes, bool]]:
    if scheme.payload == "segment_first":
        return signed_parts(inbound.body, options.extras)
    if scheme.payload == "raw":
        return [(inbound.body, True)]
    values = {
        "id": _bytes(inbound.headers.get(scheme.id_header, "")),
        "timestamp": _bytes(claim.timestamp),
        "body": inbound.body,
    }
    pieces = _PLACEHOLDER.split(scheme.payload)  # text and names by turns
    return [
        (
            b"".join(
                values[piece] if place % 2 else piece.encode() for place, piece in enumerate(pieces)
            ),
            True,
        )
    ]


def _matches(
    text: bytes, signatures: Sequence[bytes], secrets: Sequence[str], scheme: Scheme
) -> bool:
    found = 0
    for secret in secrets:
        expected = hmac.digest(_key(secret, scheme), text, _HASHES[scheme.algorithm])
        for signature in signatures:
            found += hmac.compare_digest(expected, signature)
    return found > 0


def _key(secret: str, scheme: Scheme) -> bytes:
    if not scheme.base64_secret:
        return _bytes(secret)
    return _from_base64(secret.removeprefix("whsec_")) or _bytes(secret)

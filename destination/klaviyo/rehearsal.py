"""Answers as Klaviyo would give them on a good day, for previews; and the check of a key."""

from __future__ import annotations

import hashlib
from typing import Any

from destination.delivery import Outcome
from destination.event import decode, encode
from destination.klaviyo.requests import get_accounts
from destination.klaviyo.verdict import verdict
from destination.sending import Account, Request, Response

_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHORT = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def probe(account: Account) -> Outcome:
    """Whether the account can be used: the cheapest call that needs its key (1/s, 15/min)."""
    return verdict(account.send(get_accounts()), account.now)


def rehearse(request: Request) -> Response:
    """A success for any request of ours. Equal requests get equal ids."""
    match request.operation:
        case "create_profile" | "update_profile" | "create_or_update_profile" | "merge_profiles":
            given = _given_id(request)
            return _answer(200 if given else 201, _resource("profile", given or _ulid(request)))
        case "get_profiles" | "get_profiles_for_list":
            return _answer(200, _people(request))
        case "create_list":
            return _answer(201, _resource("list", _short(request)))
        case "get_lists" | "get_errors_for_bulk_import_profiles_job":
            return _answer(200, [])
        case "get_list":
            return _answer(200, _resource("list", request.path.rpartition("/")[2]))
        case "bulk_import_profiles":
            return _answer(202, _resource("profile-bulk-import-job", _ulid(request)))
        case "get_bulk_import_profiles_job":
            done = _resource("profile-bulk-import-job", request.path.rpartition("/")[2])
            return _answer(200, {**done, "attributes": {"status": "complete", "failed_count": 0}})
        case "get_bulk_suppress_profiles_job" | "get_bulk_unsuppress_profiles_job":
            kind, id_ = request.path.split("/")[-2:]
            done = _resource(kind.removesuffix("s"), id_)
            return _answer(200, {**done, "attributes": {"status": "complete"}})
        case "get_bulk_suppress_profiles_jobs":
            return _answer(200, [])
        case "get_accounts":
            return _answer(200, [_resource("account", "REHEAR")])
        case "add_profiles_to_list" | "remove_profiles_from_list":
            return Response(204, {}, b"")
        case _:
            return Response(202, {}, b"")


def _answer(status: int, data: Any) -> Response:
    headers = {"content-type": "application/vnd.api+json"}
    return Response(status, headers, encode({"data": data, "links": {"next": None}}))


def _resource(kind: str, id_: str) -> dict[str, Any]:
    return {"type": kind, "id": id_, "attributes": {}}


def _given_id(request: Request) -> str:
    return str(request.json["data"].get("id") or "")


def _people(request: Request) -> list[dict[str, Any]]:
    """A profile for each value of the filter; the first of every look-up is the same person."""
    chosen = request.query.get("filter", "any(id,[])")
    field, _, text = chosen.partition("(")[2].removesuffix(")").partition(",")
    values = decode(text)
    return [
        {"type": "profile", "id": _spell(place, _ULID, 26), "attributes": {field: value}}
        for place, value in enumerate(values if isinstance(values, list) else [values], 1)
    ]


def _digits(request: Request) -> int:
    text = encode([request.method, request.path, sorted(request.query.items()), request.body])
    return int.from_bytes(hashlib.sha256(text).digest())


def _spell(number: int, alphabet: str, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(digits)


def _ulid(request: Request) -> str:
    return "01" + _spell(_digits(request), _ULID, 24)


def _short(request: Request) -> str:
    return _spell(_digits(request), _SHORT, 6)

"""The account itself: one, as every private key sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import resource, single
from destination.sandbox.errors import not_found

ADDRESS = {
    "address1": "1 Sandbox Way",
    "address2": None,
    "city": "Boston",
    "region": "MA",
    "country": "US",
    "zip": "02110",
}


def get_accounts(call: Call) -> Answer:
    """GET /accounts: a collection of one."""
    links = {"self": f"{call.link_base}/api/accounts", "next": None, "prev": None}
    return Answer(200, {"data": [_document(call)], "links": links})


def get_account(call: Call) -> Answer:
    """GET /accounts/{id}."""
    document = _document(call)
    if call.id != document["id"]:
        raise not_found("account", call.id)
    return single(call, 200, document)


def _document(call: Call) -> dict[str, Any]:
    name = call.account.name
    public = (name.upper() + "SANDBX")[:6]
    attributes = {
        "test_account": True,
        "contact_information": {
            "default_sender_name": f"Sandbox {name}",
            "default_sender_email": "hello@sandbox.invalid",
            "website_url": None,
            "organization_name": f"Sandbox {name}",
            "street_address": ADDRESS,
        },
        "industry": "Software / SaaS",
        "timezone": "UTC",
        "preferred_currency": "USD",
        "public_api_key": public,
        "locale": "en-US",
    }
    return resource(call, "account", public, attributes)


HANDLERS: Mapping[str, Handler] = {"get_accounts": get_accounts, "get_account": get_account}

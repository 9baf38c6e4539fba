"""The compact description that the sandbox ships agrees with Klaviyo's."""

from __future__ import annotations

import json

import pytest

from tests.contract.describe import TARGET, describe
from tests.contract.openapi import DESCRIPTION, Contract


@pytest.mark.usefixtures("contract")
def test_the_shipped_description_is_up_to_date() -> None:
    """Deriving it anew gives the file in the package."""
    document = json.loads(DESCRIPTION.read_text())
    assert json.loads(TARGET.read_text()) == describe(document)


def test_the_contract_refuses_unknown_keys_and_parameters(contract: Contract) -> None:
    """Requests are closed, though the description never says so."""
    body = {"data": {"type": "profile", "attributes": {"emale": "a@acme.io"}}}
    faults = contract.check_request("POST", "/api/profiles/", ["nope"], body)
    assert faults == [
        "unknown query parameter nope",
        "/data/attributes: Additional properties are not allowed ('emale' was unexpected)",
    ]


def test_the_contract_refuses_answers_that_cannot_be(contract: Contract) -> None:
    """A status or shape that is not described is a fault; null in links.next is not."""
    links = {"self": "https://a.klaviyo.com/api/lists", "next": None}
    assert contract.check_response("GET", "/api/lists", 200, {"data": [], "links": links}) == []
    assert contract.check_response("GET", "/api/lists", 200, {"data": {}})
    assert contract.check_response("GET", "/api/lists", 201, {"data": []})
    assert contract.check_response("POST", "/api/events", 202, {})

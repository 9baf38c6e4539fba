"""Shopify's resources as events of Segment's spec."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from destination.errors import Rejected
from destination.event import Event
from destination.ingress.format import Inbound, Options, Parsed
from destination.ingress.webhooks import FORMATS
from tests.unit.ingress.captures import RECEIVED

SHOPIFY = FORMATS["shopify"]
ADDRESS = {
    "first_name": "Ann",
    "last_name": "Lee",
    "address1": "1 Main St",
    "city": "Łódź",
    "province": "LD",
    "zip": "90-001",
    "country_code": "PL",
    "phone": "+48123456789",
}
CUSTOMER = {
    "id": 7069123456789,
    "email": "ann@example.com",
    "first_name": "Ann",
    "last_name": "Lee",
    "created_at": "2026-01-02T03:04:05-05:00",
    "orders_count": 2,
    "total_spent": "199.90",
    "tags": "vip",
    "phone": None,
    "default_address": ADDRESS,
}
LINE = {
    "id": 1,
    "product_id": 632910392,
    "variant_id": 39072856,
    "title": "Tea",
    "sku": "T-1",
    "vendor": "Leaf",
    "variant_title": "Green",
    "price": "19.50",
    "quantity": 2,
}
ORDER = {
    "id": 820982911946154508,
    "name": "#1001",
    "email": "ann@example.com",
    "currency": "PLN",
    "total_price": "49.00",
    "subtotal_price": "39.00",
    "total_tax": "5.00",
    "total_discounts": "0.00",
    "total_shipping_price_set": {"shop_money": {"amount": "5.00"}},
    "discount_codes": [{"code": "SPRING", "amount": "0.00"}],
    "line_items": [LINE],
    "customer": CUSTOMER,
    "billing_address": ADDRESS,
    "financial_status": "paid",
}


def read(resource: Any, topic: str = "orders/create", **headers: str) -> Parsed:
    names = {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": "tea.myshopify.com",
        "x-shopify-triggered-at": "2026-11-22T10:00:00.123456789Z",
        "x-shopify-event-id": "e-1",
        **headers,
    }
    return SHOPIFY.parse(
        Inbound("shopify", json.dumps(resource).encode(), RECEIVED, names), Options()
    )


def one(resource: Any, topic: str = "orders/create", **headers: str) -> Event:
    [event] = read(resource, topic, **headers).events
    assert isinstance(event, Event)
    return event


def test_an_order_is_an_order_completed() -> None:
    """Amounts are numbers, ids text, and the buyer is who the event is about."""
    event = one(ORDER)
    assert event.id == "shopify-orders/create-e-1"
    assert event.body["event"] == "Order Completed"
    assert event.body["userId"] == "7069123456789"
    assert event.body["timestamp"].startswith("2026-11-22T10:00:00.123")
    assert event.body["properties"] == {
        "order_id": "820982911946154508",
        "order_number": "#1001",
        "currency": "PLN",
        "financial_status": "paid",
        "total": 49.0,
        "subtotal": 39.0,
        "revenue": 39.0,
        "tax": 5.0,
        "discount": 0.0,
        "shipping": 5.0,
        "coupon": "SPRING",
        "products": [
            {
                "product_id": "632910392",
                "variant_id": "39072856",
                "name": "Tea",
                "brand": "Leaf",
                "variant": "Green",
                "sku": "T-1",
                "price": 19.5,
                "quantity": 2,
            }
        ],
    }
    traits = event.body["context"]["traits"]
    assert traits["email"] == "ann@example.com"
    assert traits["firstName"] == "Ann"
    assert traits["phone"] == "+48123456789"
    assert traits["address"]["postal_code"] == "90-001"
    assert event.body["context"]["shopify"] == {
        "shop": "tea.myshopify.com",
        "topic": "orders/create",
    }


def test_a_guests_order_names_the_address_only() -> None:
    """Without a customer there is no userId."""
    event = one({"id": 1, "email": "guest@example.com", "line_items": []})
    assert "userId" not in event.body
    assert event.body["context"]["traits"] == {"email": "guest@example.com"}


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("orders/paid", "Order Paid"),
        ("orders/cancelled", "Order Cancelled"),
        ("ORDERS/FULFILLED", "Order Fulfilled"),
        ("checkouts/create", "Checkout Started"),
        ("refunds/create", "Order Refunded"),
        ("products/update", "products/update"),
    ],
)
def test_topics_name_events(topic: str, name: str) -> None:
    """Known ones by Segment's names, others by their own."""
    assert one(ORDER, topic).body["event"] == name


def test_a_customer_is_an_identify() -> None:
    """With traits in Segment's spelling."""
    event = one(CUSTOMER, "customers/update")
    assert (event.type, event.body["userId"]) == ("identify", "7069123456789")
    traits = event.body["traits"]
    assert traits["email"] == "ann@example.com"
    assert traits["lastName"] == "Lee"
    assert traits["totalSpent"] == 199.9
    assert traits["address"]["street"] == "1 Main St"
    assert traits == event.body["context"]["traits"]


def test_a_refund_sums_what_was_paid_back() -> None:
    """And lists what came back."""
    refund = {
        "id": 9,
        "order_id": 8,
        "transactions": [{"amount": "10.00"}, {"amount": "2.50"}, {"amount": "nan"}],
        "refund_line_items": [{"quantity": 1, "line_item": LINE}],
    }
    properties = one(refund, "refunds/create").body["properties"]
    assert properties["order_id"] == "8"
    assert properties["total"] == 12.5
    assert properties["products"][0]["quantity"] == 1


def test_a_checkout_is_a_checkout_started() -> None:
    """With the address of the abandoned cart."""
    checkout = {**ORDER, "abandoned_checkout_url": "https://tea.example/c/1"}
    properties = one(checkout, "checkouts/create").body["properties"]
    assert properties["checkout_id"] == str(ORDER["id"])
    assert properties["checkout_url"] == "https://tea.example/c/1"
    assert "order_id" not in properties


def test_other_topics_keep_their_resource() -> None:
    """A mapping can use any of it."""
    assert one({"id": 1, "title": "Tea"}, "products/update").body["properties"] == {
        "id": 1,
        "title": "Tea",
    }


def test_one_act_under_two_topics_is_two_events() -> None:
    """Shopify gives both the same event id; a repetition is the same event."""
    assert one(ORDER, "orders/paid").id != one(ORDER).id
    assert one(ORDER).id == one({**ORDER, "note": "x"}).id


@pytest.mark.parametrize(("resource", "topic"), [(ORDER, ""), ([], "orders/create"), (5, "a/b")])
def test_a_delivery_needs_topic_and_resource(resource: Any, topic: str) -> None:
    """400 with both named."""
    with pytest.raises(Rejected, match="X-Shopify-Topic"):
        read(resource, topic)


def test_the_signature_covers_the_body() -> None:
    """Base64 of HMAC-SHA256 with the app's secret, of which there may be two for a while."""
    body = json.dumps(ORDER).encode()
    good = base64.b64encode(hmac.new(b"app", body, hashlib.sha256).digest()).decode()
    asked = Inbound("shopify", body, RECEIVED, {"x-shopify-hmac-sha256": good})
    assert SHOPIFY.verify(asked, ("new", "app"), 0, Options()).code == "verified"
    assert not SHOPIFY.verify(asked, ("new",), 0, Options()).accepted
    forged = Inbound("shopify", body + b" ", RECEIVED, asked.headers)
    assert not SHOPIFY.verify(forged, ("app",), 0, Options()).accepted

"""Shopify's resources as the parts of Segment's e-commerce events.

Amounts come as text (``"39.95"``) and become numbers; what a resource lacks is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_ADDRESS = {
    "street": "address1",
    "street2": "address2",
    "city": "city",
    "state": "province",
    "postal_code": "zip",
    "country": "country_code",
    "latitude": "latitude",
    "longitude": "longitude",
}
_CUSTOMER = {
    "firstName": "first_name",
    "lastName": "last_name",
    "createdAt": "created_at",
    "ordersCount": "orders_count",
    "tags": "tags",
    "locale": "locale",
    "verifiedEmail": "verified_email",
}
_ORDER = {
    "order_number": "name",
    "currency": "currency",
    "checkout_id": "checkout_id",
    "order_status_url": "order_status_url",
    "financial_status": "financial_status",
    "fulfillment_status": "fulfillment_status",
    "cancel_reason": "cancel_reason",
    "source_name": "source_name",
    "tags": "tags",
}
_CHECKOUT = {
    "currency": "currency",
    "checkout_url": "abandoned_checkout_url",
    "source_name": "source_name",
}
_PRODUCT = {"name": "title", "brand": "vendor", "variant": "variant_title", "sku": "sku"}


def customer(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A customer as identify: ``userId`` and ``traits``."""
    return {**_person(resource), "traits": _traits(resource)}


def order(resource: Mapping[str, Any]) -> dict[str, Any]:
    """An order as the properties of Order Completed, with the buyer in ``context.traits``.

    ``total`` is what was paid, ``subtotal`` and ``revenue`` are the goods less discounts.
    """
    return {
        **_buyer(resource),
        "properties": {
            **_ids(resource, order_id="id"),
            **_taken(resource, _ORDER),
            **_amounts(resource),
            **_found(shipping=_number(_shop_money(resource.get("total_shipping_price_set")))),
        },
    }


def checkout(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A checkout as the properties of Checkout Started."""
    return {
        **_buyer(resource),
        "properties": {
            **_ids(resource, checkout_id="id"),
            **_taken(resource, _CHECKOUT),
            **_amounts(resource),
        },
    }


def refund(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A refund as the properties of Order Refunded. It does not name the buyer."""
    refunded = [_number(each.get("amount")) for each in _objects(resource.get("transactions"))]
    lines = [
        _product({**_object(each.get("line_item")), "quantity": each.get("quantity")})
        for each in _objects(resource.get("refund_line_items"))
    ]
    amounts = [amount for amount in refunded if amount is not None]
    return {
        "properties": {
            **_ids(resource, order_id="order_id", refund_id="id"),
            **_found(total=sum(amounts) if amounts else None, note=resource.get("note")),
            "products": lines,
        }
    }


def _buyer(resource: Mapping[str, Any]) -> dict[str, Any]:
    buyer = _object(resource.get("customer"))
    address = _object(resource.get("billing_address")) or _object(resource.get("shipping_address"))
    traits = {
        **_taken(address, {"firstName": "first_name", "lastName": "last_name"}),
        **_found(phone=address.get("phone"), address=_taken(address, _ADDRESS) or None),
        **_traits(buyer),
        **_found(email=resource.get("email") or buyer.get("email")),
    }
    if resource.get("phone"):
        traits["phone"] = resource["phone"]
    return {**_person(buyer), "context": {"traits": traits}}


def _person(buyer: Mapping[str, Any]) -> dict[str, Any]:
    """Shopify's customer id is the userId; a guest has none and is known by the e-mail address."""
    return _ids(buyer, userId="id")


def _traits(resource: Mapping[str, Any]) -> dict[str, Any]:
    address = _taken(_object(resource.get("default_address")), _ADDRESS)
    return {
        **_taken(resource, {"email": "email", "phone": "phone", **_CUSTOMER}),
        **_found(totalSpent=_number(resource.get("total_spent")), address=address or None),
    }


def _amounts(resource: Mapping[str, Any]) -> dict[str, Any]:
    subtotal = _number(resource.get("subtotal_price"))
    coupons = [each.get("code") for each in _objects(resource.get("discount_codes"))]
    return {
        **_found(
            total=_number(resource.get("total_price")),
            subtotal=subtotal,
            revenue=subtotal,
            tax=_number(resource.get("total_tax")),
            discount=_number(resource.get("total_discounts")),
            coupon=next(iter(coupons), None),
        ),
        "products": [_product(each) for each in _objects(resource.get("line_items"))],
    }


def _product(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_ids(line, product_id="product_id", variant_id="variant_id"),
        **_taken(line, _PRODUCT),
        **_found(price=_number(line.get("price")), quantity=line.get("quantity")),
    }


def _ids(resource: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Ids as text: Shopify's have more digits than some readers of JSON keep."""
    found = {name: resource.get(theirs) for name, theirs in names.items()}
    return {name: str(value) for name, value in found.items() if type(value) in (int, str)}


def _taken(resource: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return _found(**{name: resource.get(theirs) for name, theirs in names.items()})


def _found(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _number(value: Any) -> float | None:
    try:
        number = float(value) if type(value) in (str, int, float) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if type(each) is dict] if type(value) is list else []


def _shop_money(value: Any) -> Any:
    return _object(_object(value).get("shop_money")).get("amount")

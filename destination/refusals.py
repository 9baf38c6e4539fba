"""Every code with which a caller is refused: the HTTP status, the cause and what to do.

These are answers to a request. What becomes of an accepted event afterwards is in ``catalogue``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """``status`` is that of the answer; 0 where one event or row is refused and the others of its
    request are taken (200, or 400 when none is left).
    """

    status: int
    cause: str
    remedy: str


_AGAIN = "Post it again after the seconds in Retry-After; nothing was taken."

REFUSALS: dict[str, Refusal] = {
    # Who asks.
    "unknown_source": Refusal(
        401,
        "No source has the write key or the name, or the request names none. 404 where the name is "
        "in the address.",
        "Send a write key as the user of HTTP basic authentication; check it for typing errors.",
    ),
    "unauthorized": Refusal(
        401,
        "The admin token is missing or wrong.",
        "Send Authorization: Bearer with the token of DESTINATION_ADMIN_TOKEN; without that setting "
        "only this machine is let in.",
    ),
    "missing_signature": Refusal(
        401,
        "A webhook that must be signed, or carry the shared secret, does not.",
        "Set the shared secret where it is sent from.",
    ),
    "invalid_signature": Refusal(
        401,
        "The signature is not one of this source's secrets over this body.",
        "Compare the secret on both sides; nothing on the way may change the body.",
    ),
    "stale_signature": Refusal(
        401,
        "The signed time differs from this server's clock by more than signature_tolerance.",
        "Set the clocks right; a request that was kept back must be signed anew.",
    ),
    "partly_signed": Refusal(
        401,
        "The signature covers the first event of the batch only, and the source wants all covered.",
        "Have events sent one by one, or take require_full_signature out.",
    ),
    "public_key": Refusal(
        403,
        "The key is a browser's, which everybody can read; this route takes none.",
        "Use the key of a server source.",
    ),
    # Where to.
    "not_found": Refusal(404, "There is nothing at this address.", "See /openapi.json."),
    "unknown_format": Refusal(
        404, "No caller's format has this name.", "Use one of the names in the answer."
    ),
    "list_not_found": Refusal(
        404, "The Klaviyo account has no list with this id.", "Correct the id; case matters."
    ),
    "method_not_allowed": Refusal(405, "The address does not take this method.", "See Allow."),
    "mappings_unusable": Refusal(
        409,
        "The mapping files in use have errors, so nothing can be worked out with them.",
        "Run `destination check` and correct them.",
    ),
    # What the request is.
    "bad_request": Refusal(
        400,
        "The request cannot be read, or lacks something; the message says what and where.",
        "Correct it as the message says; the same request would be refused again.",
    ),
    "bad_file": Refusal(
        400, "The file cannot be read as what it says it is.", "See the message for the place."
    ),
    "json_only": Refusal(
        415, "The body is not said to be JSON.", "Send Content-Type: application/json."
    ),
    "unsupported_encoding": Refusal(
        415, "The body is compressed in a way that is not taken.", "Use gzip, or none."
    ),
    "payload_too_large": Refusal(
        413, "The body is larger than DESTINATION_BODY_LIMIT.", "Send it in parts."
    ),
    "mapping_invalid": Refusal(
        422,
        "The mapping that letters are to be replayed with cannot be used; the message lists why.",
        "Correct what is listed; `destination check` finds the same in a file.",
    ),
    "too_many_events": Refusal(
        413, "The batch holds more events than are taken at once.", "Send it in parts."
    ),
    "headers_too_large": Refusal(
        431, "The head of the request is too large.", "Send fewer or shorter headers."
    ),
    "too_slow": Refusal(
        408, "The request did not arrive in time.", "Send it again, or in smaller parts."
    ),
    # When nothing can be taken.
    "rate_limited": Refusal(429, "The source sends more than it may.", _AGAIN),
    "busy": Refusal(503, "As many uploads as can be worked on are under way.", _AGAIN),
    "starting": Refusal(503, "The server is starting.", _AGAIN),
    "stopping": Refusal(503, "The server is stopping.", _AGAIN),
    "queue_unavailable": Refusal(
        503,
        "Redis does not answer, is loading or refuses writes, so nothing could be kept.",
        f"{_AGAIN} `destination doctor` says what is wrong.",
    ),
    "queue_unfit": Refusal(
        503,
        "Redis is set up so that it would lose what it takes.",
        "Set it up as the message says.",
    ),
    "queue_full": Refusal(
        503,
        "Redis is filled above DESTINATION_MEMORY_WATERMARK; deliveries go on and make room.",
        _AGAIN,
    ),
    "lane_full": Refusal(
        503,
        "As many deliveries as DESTINATION_LANE_LIMIT allows wait where these would join them.",
        _AGAIN,
    ),
    "lane_busy": Refusal(
        503, "Workers did not let go of what was to be changed.", "Ask again in half a minute."
    ),
    "no_account": Refusal(
        502,
        "The connection has neither a key nor a sandbox, so Klaviyo cannot be asked.",
        "Set KLAVIYO_API_KEY.",
    ),
    "internal_error": Refusal(500, "A fault in this software.", "Report it with the message."),
    # One event or row of a request.
    "event_not_object": Refusal(0, "The event is no JSON object.", "Send objects."),
    "event_too_large": Refusal(
        0, "The event is larger than one may be.", "Send less in it; long texts weigh most."
    ),
    "type_not_defined": Refusal(0, "The event has no type.", "Add one, such as track."),
    "type_not_string": Refusal(0, "The event's type is no text.", "Make it one."),
    "event_not_defined": Refusal(0, "A track call has no event name.", "Add event."),
    "event_not_string": Refusal(0, "The event's name is no text.", "Make it one."),
    "name_not_string": Refusal(0, "The name of a page or screen is no text.", "Make it one."),
    "category_not_string": Refusal(
        0, "The category of a page or screen is no text.", "Make it one."
    ),
    "id_not_string": Refusal(0, "An id is neither text nor whole number.", "Make it a text."),
    "no_user_anon_id": Refusal(0, "The call names nobody.", "Add userId or anonymousId."),
    "traits_not_object": Refusal(0, "traits is no object.", "Make it one."),
    "properties_not_object": Refusal(0, "properties is no object.", "Make it one."),
    "context_not_object": Refusal(0, "context is no object.", "Make it one."),
    "integrations_not_object": Refusal(0, "integrations is no object.", "Make it one."),
    "action_not_defined": Refusal(
        0, "A record has no known action.", "Use insert, update or delete."
    ),
    "row_not_object": Refusal(0, "The row is no object.", "Send objects."),
    "row_empty": Refusal(0, "No column of the row has a value.", "Leave the row out."),
    "row_too_long": Refusal(0, "The line is longer than one may be.", "Shorten it."),
    "unknown_operation": Refusal(
        0, "The row's operation is unknown.", "Use one of those in the message."
    ),
    "no_identifier": Refusal(
        0, "The column that tells who the row is about is empty.", "Fill the column."
    ),
    "conversion_failed": Refusal(
        0, "A cell does not hold what its column is said to hold.", "Correct the cell or the kind."
    ),
    "bad_csv": Refusal(0, "The line is not CSV.", "See the message for the place."),
    "wrong_number_of_cells": Refusal(
        0, "The row has more or fewer cells than the header.", "Quote cells that hold a delimiter."
    ),
    "bad_encoding": Refusal(
        0, "The line is not in the file's encoding.", "Save as UTF-8, or name the encoding."
    ),
    "bad_json": Refusal(0, "The line is not JSON.", "See the message for the place."),
    "unmatched": Refusal(
        0, "No mapping wants the row, which the caller waits for.", "Enable a mapping for it."
    ),
}
"""Code -> what it means. A code that is also one of ``catalogue`` means the like there."""

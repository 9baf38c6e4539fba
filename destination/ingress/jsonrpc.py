"""JSON-RPC 2.0 over HTTP: one call in a request, its result or error in the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from destination.errors import DestinationError, Rejected
from destination.ingress.encoding import read_json
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.normalise import seen

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

_WORDS = {"dict": "an object", "list": "an array", "str": "a text"}

NOTHING = Parsed((), (), None)


class RpcError(DestinationError):
    """A call cannot be answered with a result. ``code`` is JSON-RPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer's body, to be sent with HTTP 200 once the events in ``parsed`` are stored."""

    document: dict[str, Any]
    parsed: Parsed = NOTHING


Method = Callable[[dict[str, Any]], tuple[dict[str, Any], Parsed]]
"""From a call's params to its result and the events to store. Raises ``RpcError``."""


def dispatch(inbound: Inbound, methods: Mapping[str, Method], limits: Limits) -> Reply:
    """Call the method that a request names. Never raises: what is wrong is JSON-RPC's error."""
    identity: Any = None
    try:
        document = _read(inbound, limits)
        identity = document.get("id")
        method, params = document.get("method"), document.get("params", {})
        found = methods.get(method) if type(method) is str else None
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, f"there is no method {seen(method)}")
        if type(params) is not dict:
            raise RpcError(INVALID_PARAMS, f"params must be an object, not {seen(params)}")
        result, parsed = found(params)
    except RpcError as problem:
        error = {"code": problem.code, "message": problem.message}
        return Reply({"jsonrpc": "2.0", "id": identity, "error": error})
    return Reply({"jsonrpc": "2.0", "id": identity, "result": result}, parsed)


def plain(result: Callable[[dict[str, Any]], dict[str, Any]]) -> Method:
    """A method that stores nothing."""
    return lambda params: (result(params), NOTHING)


def param(
    params: Mapping[str, Any], name: str, kind: type[dict[str, Any] | list[Any] | str]
) -> Any:
    """A param that must be an object, an array or a text. Raises ``RpcError``."""
    value = params.get(name)
    if type(value) is not kind:
        raise RpcError(INVALID_PARAMS, f"{name} must be {_WORDS[kind.__name__]}, not {seen(value)}")
    return value


def _read(inbound: Inbound, limits: Limits) -> dict[str, Any]:
    if len(inbound.body) > limits.body_bytes:
        raise RpcError(
            INVALID_REQUEST,
            f"the request is larger than {limits.body_bytes:,} bytes: send smaller batches",
        )
    try:
        document = read_json(inbound.body)
    except Rejected as problem:
        raise RpcError(PARSE_ERROR, problem.message) from None
    if type(document) is not dict:
        raise RpcError(
            INVALID_REQUEST, f"a call must be an object, one in a request, not {seen(document)}"
        )
    return document

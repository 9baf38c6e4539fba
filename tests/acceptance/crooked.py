"""Requests that two parsers may read in two ways, that are too large, and that are only odd."""

from __future__ import annotations

import base64

from tests.acceptance.stack import KEY

AUTH = b"Authorization: Basic " + base64.b64encode(KEY.encode() + b":")
BODY = b'{"type":"page","userId":"u-1","name":"Home"}'
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
TRACK = b"POST /v1/page HTTP/1.1"
HOST = b"Host: destination.example"


def head(*lines: bytes) -> bytes:
    """A head of these lines."""
    return b"\r\n".join(lines) + b"\r\n\r\n"


SMUGGLED = head(TRACK, HOST, AUTH, LENGTH) + BODY

MALFORMED = {
    "length and chunks": head(TRACK, HOST, AUTH, LENGTH, CHUNKED) + b"0\r\n\r\n" + SMUGGLED,
    "chunks and length": head(TRACK, HOST, AUTH, CHUNKED, b"Content-Length: 4") + b"5c\r\n" + SMUGGLED,
    "two lengths": head(TRACK, HOST, AUTH, LENGTH, b"Content-Length: 0") + BODY + SMUGGLED,
    "the same length twice": head(TRACK, HOST, AUTH, LENGTH, LENGTH) + BODY,
    "a list of lengths": head(TRACK, HOST, AUTH, b"Content-Length: 5, 5") + b"hello",
    "a signed length": head(TRACK, HOST, AUTH, b"Content-Length: +5") + b"hello",
    "a negative length": head(TRACK, HOST, AUTH, b"Content-Length: -1") + b"hello",
    "a hexadecimal length": head(TRACK, HOST, AUTH, b"Content-Length: 0x5") + b"hello",
    "a length with a gap": head(TRACK, HOST, AUTH, b"Content-Length: 5 0") + b"hello",
    "a length beyond all bounds": head(TRACK, HOST, AUTH, b"Content-Length: " + b"9" * 40),
    "an empty length": head(TRACK, HOST, AUTH, b"Content-Length:") + b"hello",
    "an unknown coding": head(TRACK, HOST, AUTH, b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "identity": head(TRACK, HOST, AUTH, b"Transfer-Encoding: identity") + b"0\r\n\r\n",
    "chunks inside": head(TRACK, HOST, AUTH, b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "two codings": head(TRACK, HOST, AUTH, CHUNKED, b"Transfer-Encoding: identity") + b"0\r\n\r\n",
    "a hidden coding": head(TRACK, HOST, AUTH, LENGTH, b"Transfer-Encoding:\x0bchunked") + SMUGGLED,
    "a gap before the colon": head(TRACK, HOST, AUTH, b"Content-Length : 44") + BODY,
    "a gap in a name": head(TRACK, HOST, AUTH, LENGTH, b"X Y: 1") + BODY,
    "no name": head(TRACK, HOST, AUTH, LENGTH, b": 1") + BODY,
    "no colon": head(TRACK, HOST, AUTH, LENGTH, b"nothing") + BODY,
    "bare line feeds": head(TRACK, HOST, AUTH, LENGTH).replace(b"\r\n", b"\n") + BODY,
    "a bare carriage return": head(TRACK, HOST, AUTH, LENGTH, b"X: 1\r" + CHUNKED) + BODY,
    "a NUL in a value": head(TRACK, HOST, AUTH, LENGTH, b"X: a\0b") + BODY,
    "a NUL in a name": head(TRACK, HOST, AUTH, LENGTH, b"X\0: a") + BODY,
    "a folded header": head(TRACK, HOST, AUTH, LENGTH, b"X: a\r\n b") + BODY,
    "a folded first header": head(TRACK, b" X: a", HOST, AUTH, LENGTH) + BODY,
    "no host": head(TRACK, AUTH, LENGTH) + BODY,
    "two hosts": head(TRACK, HOST, HOST, AUTH, LENGTH) + BODY,
    "a method in lower case": head(b"post /v1/page HTTP/1.1", HOST, AUTH, LENGTH) + BODY,
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/9.9": head(b"POST /v1/page HTTP/9.9", HOST, AUTH, LENGTH) + BODY,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a gap in the address": head(b"POST /v1/page x HTTP/1.1", HOST, AUTH, LENGTH) + BODY,
    "a raw byte in the address": head(b"POST /v1/p\xc3\xa4ge HTTP/1.1", HOST, AUTH, LENGTH) + BODY,
    "CONNECT": head(b"CONNECT evil.example:80 HTTP/1.1", HOST),
    "an upgrade with a body": head(TRACK, HOST, AUTH, LENGTH, b"Connection: Upgrade", b"Upgrade: h2c")
    + BODY + SMUGGLED,
    "a negative chunk": head(TRACK, HOST, AUTH, CHUNKED) + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond all bounds": head(TRACK, HOST, AUTH, CHUNKED) + b"f" * 17 + b"\r\nhello\r\n",
    "a chunk line with a bare feed": head(TRACK, HOST, AUTH, CHUNKED) + b"5\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": head(TRACK, HOST, AUTH, CHUNKED) + b"5\r\nhelloXX0\r\n\r\n",
    "a chunk in 0x": head(TRACK, HOST, AUTH, CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n",
}  # fmt: skip


GREEDY = {
    "101 headers": head(TRACK, HOST, AUTH, LENGTH, *(b"X-%d: 1" % n for n in range(101))) + BODY,
    "5,000 headers": head(TRACK, HOST, AUTH, LENGTH, *(b"X-%d: 1" % n for n in range(5000))) + BODY,
    "a header of 33 KB": head(TRACK, HOST, AUTH, LENGTH, b"X: " + b"a" * 33_000) + BODY,
    "300 KB of one header": TRACK + b"\r\nX: " + b"a" * 300_000,
    "an address of 200 KB": b"POST /v1/page?" + b"a" * 200_000,
    "a trailer of 200 KB": head(TRACK, HOST, AUTH, CHUNKED) + b"2\r\n{}\r\n0\r\nX: " + b"a" * 200_000,
    "a chunk's extension of 200 KB": head(TRACK, HOST, AUTH, CHUNKED) + b"2;" + b"a" * 200_000,
}  # fmt: skip


ODD = {
    "just within the bounds": (head(TRACK, HOST, AUTH, LENGTH, b"X: " + b"a" * 31_000) + BODY, 200),
    "an absolute address": (
        head(b"POST http://destination.example/v1/page HTTP/1.1", HOST, AUTH, LENGTH) + BODY,
        200,
    ),
    "an extension of a chunk": (
        head(TRACK, HOST, AUTH, CHUNKED) + b"%x;a=b\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        200,
    ),
    "a credential in a trailer": (
        head(TRACK, HOST, CHUNKED)
        + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n" + AUTH + b"\r\n\r\n",
        401,
    ),
    "an expectation": (head(TRACK, HOST, AUTH, LENGTH, b"Expect: 100-continue") + BODY, 200),
    "HTTP/1.0 without a host": (head(b"GET /health HTTP/1.0"), 200),
    "TRACE": (head(b"TRACE /v1/page HTTP/1.1", HOST), 405),
    "DELETE": (head(b"DELETE /v1/page HTTP/1.1", HOST), 405),
    "OPTIONS *": (head(b"OPTIONS * HTTP/1.1", HOST), 404),
    "two slashes": (head(b"GET //health HTTP/1.1", HOST), 404),
    "dots": (head(b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", HOST), 404),
    "an upgrade to h2c": (
        head(b"GET /health HTTP/1.1", HOST, b"Connection: Upgrade", b"Upgrade: h2c"),
        200,
    ),
    "an upgrade to a web socket": (
        head(b"GET /health HTTP/1.1", HOST, b"Connection: Upgrade", b"Upgrade: websocket"),
        200,
    ),
}  # fmt: skip

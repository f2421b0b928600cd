"""A request's body, read whole before the application sees the request: bounded in bytes and in time.

Read here, for a limit that an application meets while it reads may come out as any
error of its own.
"""

import asyncio
from collections.abc import Iterable

from starlette.types import Message, Receive

from serving.problems import Problem, Refused


class ClientGoneError(Exception):
    """The client hung up before its request was whole; there is nobody to answer."""


async def read_body(receive: Receive, *, headers: Iterable[tuple[bytes, bytes]], max_bytes: int, timeout_seconds: float) -> bytes:
    """The whole body; raises `Refused` with 413 above `max_bytes`, declared or sent in chunks, and with 408 after the time."""
    declared = next((value for name, value in headers if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > max_bytes:
        raise Refused(_too_large(max_bytes))
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _read(receive, max_bytes)
    except TimeoutError as error:
        detail = f"the body did not arrive within {timeout_seconds:g} s; send it at once"
        raise Refused(Problem(408, "body-too-slow", detail, {"connection": "close"})) from error


async def _read(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise Refused(_too_large(max_bytes))
        if not message.get("more_body", False):
            return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body in one piece, then what the server says."""
    is_given = False

    async def received() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _too_large(max_bytes: int) -> Problem:
    detail = f"a body may have {max_bytes} bytes (serving.max_body_bytes); send less, in several requests"
    # What is still on its way is not read: the connection cannot be used again.
    return Problem(413, "body-too-large", detail, {"connection": "close"})

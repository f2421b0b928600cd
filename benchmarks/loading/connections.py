"""HTTP and Redis over plain sockets: one question, one answer, the connection kept.

Bare on purpose. The one who asks has to share the processor with who answers.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """Status (of Redis always 200), body, and whether the connection ends with it."""

    status: int
    body: bytes
    is_last: bool = False

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


Read = Callable[[asyncio.StreamReader], Coroutine[Any, Any, Answer]]


class Connection:
    """One socket to 127.0.0.1; one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read: Read) -> None:
        self._reader, self._writer, self._read = reader, writer, read

    @classmethod
    async def open(cls, port: int, read: Read) -> "Connection":
        """Raises `OSError` where nobody listens."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), read)

    @property
    def is_open(self) -> bool:
        """Whether the other side has not ended it; servers end connections that rest."""
        return not self._reader.at_eof()

    async def ask(self, request: bytes) -> Answer:
        """Raises `OSError` or `EOFError` for a connection that ends before the answer does."""
        self._writer.write(request)
        return await self._read(self._reader)

    def close(self) -> None:
        """End it."""
        self._writer.close()


def http_request(method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a request to this machine."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    kind = "" if body is None else "content-type: application/json\r\n"
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{kind}content-length: {len(content)}\r\n\r\n".encode() + content


async def read_http(reader: asyncio.StreamReader) -> Answer:
    """An answer that says its length, as every one of ours does."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is None:
        raise EOFError(f"an answer without a length: {head[:80]!r}")
    return Answer(int(head[9:12]), await reader.readexactly(int(length[1])), _CLOSES.search(head) is not None)


def redis_request(*words: bytes) -> bytes:
    """The bytes of a command (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


async def read_redis(reader: asyncio.StreamReader) -> Answer:
    """One value, the values of an array one after the other, or a status line; raises `EOFError` for an error of Redis'."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise EOFError(rest.decode())
    if kind == b"*":
        return Answer(200, b"".join([(await read_redis(reader)).body for _ in range(int(rest))]))
    if kind == b"$" and int(rest) >= 0:
        return Answer(200, (await reader.readexactly(int(rest) + 2))[:-2])
    return Answer(200, b"" if kind == b"$" else rest)

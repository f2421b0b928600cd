"""The load behind `benchmarks.serving`: what it counts is what a server did, and it waits for nobody where it says so."""

import asyncio
import itertools
import math
from contextlib import asynccontextmanager

import pytest

from benchmarks.loading.connections import Connection, http_request, read_http, read_redis, redis_request
from benchmarks.loading.load import NO_ANSWER, NOT_SENT, Asking, ask_at_rate, ask_in_turn, ask_times
from benchmarks.serving import against_redis


@asynccontextmanager
async def server(answer, *, rest_seconds=60):
    """Answers every HTTP request with what `answer` gives for its number: bytes, or None to hang up."""
    numbers, most_open, opened = itertools.count(), [0], set()

    async def serve(reader, writer):
        opened.add(writer)
        most_open[0] = max(most_open[0], len(opened))
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), rest_seconds)
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                found = await answer(next(numbers))
                if found is None:
                    return
                writer.write(found)
        except (EOFError, TimeoutError):
            return
        finally:
            opened.discard(writer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], most_open


def said(status, body=b"{}", more=b""):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


def asking(port):
    return Asking(port, read_http, itertools.repeat(http_request("POST", "/", {"text": "露营"})))


def test_every_answer_is_counted_by_status_and_only_good_ones_are_timed() -> None:
    async def answer(number):
        await asyncio.sleep(0.005)
        return [said(200), said(429), said(503, more=b"Connection: close\r\n"), None][number % 4]

    async def run():
        async with server(answer) as (port, _):
            return await ask_times(asking(port), count=20)

    met = asyncio.run(run())
    assert met.statuses == {"200": 5, "429": 5, "503": 5, NO_ANSWER: 5}
    assert (len(met.seconds), met.num_refused) == (5, 15)
    assert min(met.seconds) >= 0.005


def test_clients_wait_for_their_answer() -> None:
    async def answer(_):
        await asyncio.sleep(0.02)
        return said(200)

    async def run():
        async with server(answer) as (port, most_open):
            return await ask_in_turn(asking(port), clients=4, seconds=0.2), most_open[0]

    met, most_open = asyncio.run(run())
    assert most_open == 4
    assert 4 <= len(met.seconds) <= 40
    assert met.rate <= 4 / 0.02


def test_at_least_so_many_answers_but_not_for_ever() -> None:
    async def answer(_):
        await asyncio.sleep(0.01)
        return said(503)

    async def run():
        async with server(answer) as (port, _):
            return await ask_in_turn(asking(port), clients=1, seconds=0.05, at_least=10)

    met = asyncio.run(run())
    assert not met.seconds
    assert math.isnan(met.milliseconds(0.5))
    assert met.wall_seconds < 2


def test_arrivals_wait_for_nobody_and_are_timed_from_when_they_were_due() -> None:
    async def answer(number):
        # Whoever comes is kept waiting, so that a client who waits would be behind soon.
        await asyncio.sleep(0.3)
        return said(200)

    async def run():
        async with server(answer) as (port, most_open):
            return await ask_at_rate(asking(port), rate=100, seconds=0.5, most_open=20), most_open[0]

    met, most_open = asyncio.run(run())
    assert met.statuses.total() == 50
    assert met.statuses[NOT_SENT] > 0
    assert most_open <= 20
    assert len(met.seconds) == 50 - met.statuses[NOT_SENT] >= 20
    assert min(met.seconds) >= 0.3


def test_a_connection_that_was_ended_while_it_rested_is_no_failure() -> None:
    async def answer(number):
        return said(200)

    async def run():
        async with server(answer, rest_seconds=0.02) as (port, _):
            return await ask_at_rate(asking(port), rate=5, seconds=1, most_open=5)

    assert asyncio.run(run()).statuses == {"200": 5}


def test_nobody_who_listens_is_no_answer() -> None:
    async def run():
        async with server(None) as (port, _):
            pass
        return await ask_at_rate(asking(port), rate=100, seconds=0.1, most_open=5)

    assert asyncio.run(run()).statuses == {NO_ANSWER: 10}


@pytest.mark.redis
def test_redis_is_read() -> None:
    from benchmarks.publishing.servers import redis_server

    async def run(port):
        connection = await Connection.open(port, read_redis)
        asked = [(b"SET", b"a", "值".encode()), (b"SET", b"b", b"2\r\n2"), (b"GET", b"a"), (b"MGET", b"a", b"none", b"b")]
        found = [(await connection.ask(redis_request(*words))).body for words in asked]
        with pytest.raises(EOFError, match="unknown command"):
            await connection.ask(redis_request(b"NOTHING"))
        connection.close()
        return found

    with redis_server() as port:
        assert asyncio.run(run(port)) == [b"OK", b"OK", "值".encode(), "值".encode() + b"2\r\n2"]


def test_ratios_are_to_as_many_entities_and_clients() -> None:
    rows = [
        {"server": "Redis", "asked": "1 entity", "clients": 1, "p50 ms": 0.1},
        {"server": "Redis", "asked": "100 entities", "clients": 1, "p50 ms": 0.4},
        {"server": "Redis", "asked": "1 entity", "clients": 8, "p50 ms": 0.2},
        {"server": "F", "asked": "100 entities", "clients": 1, "p50 ms": 2.0},
        {"server": "S", "asked": "recommend: user", "clients": 8, "p50 ms": 3.0},
    ]
    assert [row["p50 / Redis"] for row in against_redis(rows)] == [1.0, 1.0, 1.0, 5.0, 15.0]

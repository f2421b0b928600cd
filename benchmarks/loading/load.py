"""Two kinds of load and what it meets: clients that ask again when they are answered, and arrivals that wait for nobody."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.loading.connections import Answer, Connection, Read

# An answer that takes longer is none.
TIMEOUT_SECONDS = 30.0
NO_ANSWER, NOT_SENT = "no answer", "not sent"


@dataclass
class Met:
    """Seconds of each answer with 200, how often each status came, and seconds from the first question to the last answer."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def count(self, answer: Answer | None, seconds: float) -> None:
        """Count one question in."""
        self.statuses[NO_ANSWER if answer is None else str(answer.status)] += 1
        if answer is not None and answer.status == 200:
            self.seconds.append(seconds)

    def milliseconds(self, share: float) -> float:
        """A quantile of the answers' times; nan without any."""
        return float(np.quantile(self.seconds, share) * 1e3) if self.seconds else float("nan")

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall_seconds

    @property
    def num_refused(self) -> int:
        """Questions not answered with 200."""
        return self.statuses.total() - len(self.seconds)


@dataclass(frozen=True)
class Asking:
    """Where to ask, how to read answers, and the questions, without an end."""

    port: int
    read: Read
    requests: Iterator[bytes]


async def ask_in_turn(asking: Asking, *, clients: int, seconds: float, at_least: int = 0) -> Met:
    """Each client asks, waits for the answer and asks again, for so long, and for `at_least` answers (four times as long at most)."""
    met, connections = Met(), [await Connection.open(asking.port, asking.read) for _ in range(clients)]
    with _measuring(met) as begun:

        async def client(connection: Connection) -> None:
            while (past := time.perf_counter() - begun) < seconds or (len(met.seconds) < at_least and past < 4 * seconds):
                started = time.perf_counter()
                answer = await _answer(connection, next(asking.requests))
                met.count(answer, time.perf_counter() - started)
                if answer is None or answer.is_last:
                    connection = await _reopened(connection, asking)

        await asyncio.gather(*map(client, connections))
    for connection in connections:
        connection.close()
    return met


async def ask_times(asking: Asking, *, count: int) -> Met:
    """One client, so many questions one after the other."""
    met, idle = Met(), list[Connection]()
    with _measuring(met):
        for _ in range(count):
            await _ask_once(asking, idle, met, since=time.perf_counter())
    for connection in idle:
        connection.close()
    return met


async def ask_at_rate(asking: Asking, *, rate: float, seconds: float, most_open: int) -> Met:
    """`rate` questions a second whatever becomes of them, timed from when they were due; beyond `most_open` at once they are not sent."""
    met, idle, running = Met(), list[Connection](), set[asyncio.Task[None]]()

    with _measuring(met) as begun:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            if len(running) >= most_open:
                met.statuses[NOT_SENT] += 1
                continue
            task = asyncio.create_task(_ask_once(asking, idle, met, since=due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
    for connection in idle:
        connection.close()
    return met


@contextlib.contextmanager
def _measuring(met: Met) -> Iterator[float]:
    begun, used = time.perf_counter(), time.process_time()
    yield begun
    met.wall_seconds, met.cpu_seconds = time.perf_counter() - begun, time.process_time() - used


async def _ask_once(asking: Asking, idle: list[Connection], met: Met, *, since: float) -> None:
    """Ask over an idle connection or a new one, which is idle afterwards where it can be."""
    connection = await _open(idle, asking)
    answer = None if connection is None else await _answer(connection, next(asking.requests))
    met.count(answer, time.perf_counter() - since)
    if connection is not None and answer is not None and not answer.is_last:
        idle.append(connection)
    elif connection is not None:
        connection.close()


async def _open(idle: list[Connection], asking: Asking) -> Connection | None:
    """An idle connection where there is one, else a new one; None where none is let in."""
    while idle:
        connection = idle.pop()
        if connection.is_open:
            return connection
        connection.close()
    try:
        return await Connection.open(asking.port, asking.read)
    except OSError:
        return None


async def _answer(connection: Connection, request: bytes) -> Answer | None:
    try:
        return await asyncio.wait_for(connection.ask(request), TIMEOUT_SECONDS)
    except (OSError, EOFError, TimeoutError):
        return None


async def _reopened(connection: Connection, asking: Asking) -> Connection:
    connection.close()
    return await Connection.open(asking.port, asking.read)

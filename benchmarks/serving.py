"""The service under load, beside raw Redis and Feast's own feature server: times, rates, overload, and feedback that counts at once.

Every server is a process of its own over the bundled sample, started as a user starts it; one process of plain sockets asks, on the same
cores, and its own cost a question is in the table. In turn: so many clients that ask again when they are answered. Clients are
doubled while the 99th percentile stays under 50 ms; the largest rate on the way is what is reachable. Redis holds each profile as JSON, as
the service answers it. Processor time a question does not depend on what else the machine does; all other figures do, so the load average
is told. Overload: five times the reachable rate for 20 seconds whatever becomes of it, once with no limit on a caller's rate and once with
the limits as shipped (then at least twice what a caller may). Changed: from sending a dislike until a list without the item was received.

INTEREST_GRAPH_HOME may name a finished home of the sample, which is copied; else one is made first.

python -m benchmarks.serving [--quick] [--json FILE]
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loading import questions
from benchmarks.loading.connections import Connection, Read, read_http, read_redis
from benchmarks.loading.load import Asking, Met, ask_at_rate, ask_in_turn, ask_times
from benchmarks.loading.questions import Known
from benchmarks.loading.servers import Server, finished_home, put_online, redis, served
from benchmarks.report import Options, Row, as_table, parse_options, publish
from ml.config.pipeline import FeatureStoreConfig, ServingConfig

CLIENTS = (1, 2, 4, 8, 16, 32)
ALWAYS = (1, 8)
LIMIT_MS = 50.0
OVERLOAD_TIMES, OVERLOAD_SECONDS, MOST_OPEN = 5, 20.0, 400
RECOVERY_WINDOW, LONGEST_RECOVERY_SECONDS = 20, 60.0
NO_RATE_LIMIT = {"serving": {"requests_per_second": 1e6, "burst": 10**6}}
OURS = "recommendation service"


@dataclass(frozen=True)
class Effort:
    """Seconds a step, least answers of it, and how many users give feedback that must change their list."""

    seconds: float
    answers: int
    changes: int


def main(options: Options) -> None:
    """Measure everything in one run and publish the tables."""
    effort = Effort(1.0, 50, 30) if options.quick else Effort(3.0, 200, 200)
    given, load_before = os.environ.get("INTEREST_GRAPH_HOME"), os.getloadavg()
    with finished_home(Path(given) if given else None) as home:
        known = Known.of(home)
        put_online(home, FeatureStoreConfig())
        with served("serve", home, profile=NO_RATE_LIMIT) as server:
            ours = ask_ours(server, known, effort=effort)
            changed = changes(server, known, count=effort.changes)
            reachable = max(float(str(row.get("most/s") or row["answers/s"])) for row in ours if row["asked"] == "recommend: user")
            crushed = [overload(server, known, rate=OVERLOAD_TIMES * reachable, limits="none on a caller")]
            told = ask_all(server.port, itertools.islice(questions.profiles(known), questions.NUM_ENTITIES))
        rows = with_redis(known, [answer.body for answer in told], effort=effort)
        shipped = max(OVERLOAD_TIMES * reachable, 2.0 * ServingConfig().requests_per_second)
        with served("serve", home, profile={}) as server:
            crushed.append(overload(server, known, rate=shipped, limits="as shipped"))
        rows += with_feast(home, known, effort=effort)
    rows = against_redis([*rows, *ours])
    loads = f"load average of the machine, 1 minute: {load_before[0]:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores"
    publish("serving", rows, options=options, notes=[as_table(crushed), as_table([changed]), loads])


def with_redis(known: Known, profiles: Sequence[bytes], *, effort: Effort) -> list[Row]:
    """Raw Redis: the floor."""
    with redis() as server:
        ask_all(server.port, questions.redis_values(known, profiles), read=read_redis)
        there = known.users[: len(profiles)]
        rows = ladder(server, "Redis", "1 entity", questions.redis_gets(there), read=read_redis, effort=effort)
        return rows + ladder(server, "Redis", "100 entities", questions.redis_gets_of_many(there), read=read_redis, effort=effort)


def with_feast(home: Path, known: Known, *, effort: Effort) -> list[Row]:
    """Feast's feature server behind the guard, over each online store."""
    rows: list[Row] = []
    with redis() as store:
        for name, config in (
            ("SQLite", FeatureStoreConfig()),
            ("Redis", FeatureStoreConfig(online_store="redis", redis_connection=f"127.0.0.1:{store.port}")),
        ):
            put_online(home, config)
            profile = NO_RATE_LIMIT | {"features": config.model_dump(mode="json")}
            with served("serve-features", home, profile=profile) as server:
                for asked, requests in (("1 entity", questions.features_of_one), ("100 entities", questions.features_of_many)):
                    rows += ladder(server, f"Feast on {name}", asked, requests(known), effort=effort)
    return rows


def ask_ours(server: Server, known: Known, *, effort: Effort) -> list[Row]:
    """Our service, every kind of question; feedback last, for what it says changes lists."""
    kinds: Mapping[str, Callable[[Known], Iterator[bytes]]] = {
        "1 entity": questions.profiles,
        "recommend: user": questions.by_user,
        "recommend: text": questions.by_text,
        "recommend: session": questions.by_session,
    }
    rows = [row for asked, requests in kinds.items() for row in ladder(server, OURS, asked, requests(known), effort=effort)]
    answers = {user: ask_json(server, questions.recommend(user_id=user)) for user in known.users[-effort.changes :]}
    return rows + ladder(server, OURS, "feedback", questions.clicks(answers), effort=effort)


def ladder(server: Server, name: str, asked: str, requests: Iterator[bytes], *, effort: Effort, read: Read = read_http) -> list[Row]:
    """A row for 1 and 8 clients; the first says what rate was reachable over all steps, nothing where 50 ms held at none."""
    asking = Asking(server.port, read, requests)
    asyncio.run(ask_in_turn(asking, clients=1, seconds=effort.seconds / 4))
    rows: list[dict[str, Any]] = []
    rates: list[float] = []
    is_climbing = True
    for clients in CLIENTS:
        if not is_climbing and clients not in ALWAYS:
            continue
        used = server.cpu_seconds
        met = asyncio.run(ask_in_turn(asking, clients=clients, seconds=effort.seconds, at_least=effort.answers))
        is_climbing = met.milliseconds(0.99) < LIMIT_MS
        if is_climbing:
            rates.append(met.rate)
        if clients in ALWAYS:
            rows.append({"server": name, "asked": asked, "clients": clients, **row_of(met, server_cpu=server.cpu_seconds - used)})
    rows[0]["most/s"] = round(max(rates), 1) if rates else None
    return [_told(row) for row in rows]


def row_of(met: Met, *, server_cpu: float) -> dict[str, Any]:
    """Figures of one step."""
    number = max(met.statuses.total(), 1)
    return {
        "answers/s": round(met.rate, 1),
        "p50 ms": round(met.milliseconds(0.5), 2),
        "p99 ms": round(met.milliseconds(0.99), 2),
        "server CPU ms": round(server_cpu / number * 1e3, 3),
        "asker CPU ms": round(met.cpu_seconds / number * 1e3, 3),
        "not 200": met.num_refused,
    }


def against_redis(rows: Sequence[Row]) -> list[Row]:
    """Every row with its median over that of raw Redis, of as many clients and, of look-ups, as many entities."""
    floor = {(row["asked"], row["clients"]): float(str(row["p50 ms"])) for row in rows if row["server"] == "Redis"}
    one = {clients: value for (asked, clients), value in floor.items() if asked == "1 entity"}
    ratios = [float(str(row["p50 ms"])) / floor.get((row["asked"], row["clients"]), one[row["clients"]]) for row in rows]
    return [{**row, "p50 / Redis": round(ratio, 1)} for row, ratio in zip(rows, ratios, strict=True)]


def overload(server: Server, known: Known, *, rate: float, limits: str) -> Row:
    """Far more than can be answered, then one client until it is answered as before."""
    asking = Asking(server.port, read_http, questions.by_user(known))
    before = asyncio.run(ask_in_turn(asking, clients=1, seconds=2.0, at_least=100))
    memory = server.resident_mib
    met = asyncio.run(ask_at_rate(asking, rate=rate, seconds=OVERLOAD_SECONDS, most_open=MOST_OPEN))
    grown = server.resident_mib - memory
    seconds = recovery_seconds(asking, bound_ms=2 * before.milliseconds(0.99)) if server.is_alive else None
    found = {
        "limits": limits,
        "asked/s": round(rate),
        **{f"status {status}": count for status, count in sorted(met.statuses.items())},
        "p99 ms of 200": round(met.milliseconds(0.99)),
        "p99 ms before": round(before.milliseconds(0.99)),
        "s until as before": seconds,
        "MiB before": round(memory),
        "MiB grown": round(grown),
        "alive": server.is_alive,
    }
    return _told(found)


def recovery_seconds(asking: Asking, *, bound_ms: float) -> float | None:
    """Seconds until twenty answers in a row were all given, each within the bound; None where that took over a minute."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < LONGEST_RECOVERY_SECONDS:
        met = asyncio.run(ask_times(asking, count=RECOVERY_WINDOW))
        if not met.num_refused and met.milliseconds(1.0) <= bound_ms:
            return round(time.perf_counter() - begun, 1)
    return None


def changes(server: Server, known: Known, *, count: int) -> Row:
    """Milliseconds from sending a dislike until a list without the item was received; users one after the other."""
    seconds, num_unchanged = asyncio.run(_dislike(server.port, known.users[:count]))
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1e3
    return _told({"dislikes": len(seconds), "lists that still had it": num_unchanged, "p50 ms": round(p50, 1), "p99 ms": round(p99, 1)})


async def _dislike(port: int, users: Sequence[str]) -> tuple[list[float], int]:
    connection, seconds, num_unchanged = await Connection.open(port, read_http), [], 0
    for user in users:
        before = (await connection.ask(questions.recommend(user_id=user))).json()
        disliked = before["items"][0]["item_id"]
        started = time.perf_counter()
        said = await connection.ask(questions.feedback("dislike", user=user, answer=before, key=f"dislike-{user}"))
        after = await connection.ask(questions.recommend(user_id=user))
        seconds.append(time.perf_counter() - started)
        if said.status != 200:
            raise RuntimeError(f"feedback was refused: {said.body.decode()}")
        num_unchanged += disliked in {item["item_id"] for item in after.json()["items"]}
    connection.close()
    return seconds, num_unchanged


def _told(row: Row) -> Row:
    """A row, told at once: the whole takes minutes."""
    print(", ".join(f"{name}: {value}" for name, value in row.items()), file=sys.stderr, flush=True)
    return row


def ask_json(server: Server, request: bytes) -> Any:
    """One answer, read; raises `RuntimeError` for a refusal."""
    return ask_all(server.port, iter([request]))[0].json()


def ask_all(port: int, requests: Iterator[bytes], *, read: Read = read_http) -> list[Any]:
    """Every answer, one after the other."""

    async def ask() -> list[Any]:
        connection = await Connection.open(port, read)
        answers = [await connection.ask(request) for request in requests]
        connection.close()
        return answers

    answers = asyncio.run(ask())
    refused = [answer for answer in answers if answer.status != 200]
    if refused:
        raise RuntimeError(f"refused: {refused[0].body.decode()}")
    return answers


if __name__ == "__main__":
    main(parse_options(__doc__))

"""Feedback: what an acknowledgement costs, and that a kill -9 loses none and doubles none.

Appends are asked by 1, 8 and 64 coroutines at once, beside a file that is synced after each append by one writer.
Then 10,000 are sent, from coroutines and over HTTP, to a process that is killed in the middle and started again;
what was not answered is sent again under its key, and what `ingest` makes of the log is held against the answers.
A kill, not a power cut: that bytes are synced before they are acknowledged is what a test of the log says.

python -m benchmarks.feedback [--quick] [--json FILE]
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from benchmarks.feedback_process import DATASET_FILE, LOG, feedback_of, open_service
from benchmarks.report import Options, Row, parse_options, publish
from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import RAW_EVENTS
from ml.contracts.store import TableStore
from ml.days import days_through
from ml.ids import UserIdBorder
from ml.intake.dataset import load_dataset
from ml.intake.feedback import with_feedback
from ml.intake.ingest import ingest
from serving.feedback.entry import EVENT_ID_PREFIX, Accepted, to_line

WRITERS = (1, 8, 64)
NUM_POSTS, QUICK_POSTS = 10_000, 1_000
NUM_APPENDS, QUICK_APPENDS = 10_000, 1_000
KILLED_WITH = 64
START_SECONDS = 60


@dataclass
class Told:
    """Keys by how many answers acknowledged them, the time each was given first, and how many were given another later."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    moments: dict[str, str] = field(default_factory=dict)
    contradicted: int = 0


def main(options: Options) -> None:
    """Measure appends, kill twice, publish the table."""
    num_posts = QUICK_POSTS if options.quick else NUM_POSTS
    num_appends = QUICK_APPENDS if options.quick else NUM_APPENDS
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for sync in (os.fsync, os.fdatasync):
            found = plain_appends(new_home(root / sync.__name__), num_appends, sync=sync)
            rows += [measured(f"plain: {sync.__name__} an append", 1, found)]
        for writers in WRITERS:
            found = asyncio.run(log_appends(new_home(root / f"log-{writers}"), num_appends, writers=writers))
            rows += [measured("log", writers, found)]
        rows.append(killed_row("log, killed", kill_appends(new_home(root / "killed"), num_posts)))
        rows.append(killed_row("HTTP, killed", asyncio.run(kill_server(new_home(root / "served"), num_posts))))
    wrong = sum(int(str(row[name])) for row in rows for name in ("lost", "doubled", "answered otherwise", "kept out") if name in row)
    notes = [
        f"{num_appends:,} appends a row; {num_posts:,} where the process is killed, which says no time: a start is in it",
        f"acknowledged and not in the raw events exactly once, or answered otherwise the second time: {wrong}",
        "HTTP: one process serves, another asks, on the same cores",
    ]
    publish("feedback", rows, options=options, notes=notes)
    if wrong:
        raise SystemExit(1)


def new_home(folder: Path) -> Path:
    """A folder with a dataset file, one event of its own, and room for the log."""
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("user,item,type,ts\nu1,i1,view,2024-01-01T10:00:00Z\n", encoding="utf-8")
    columns = "{user_id: user, item_id: item, event_type: type, event_at: ts}"
    start = (datetime.now(UTC) - timedelta(days=1)).date()
    text = f"name: shop\nstart: {start}\ntables: {{events: [{{path: events.csv, columns: {columns}}}]}}\nweights: {{view: 1}}\n"
    (folder / DATASET_FILE).write_text(text, encoding="utf-8")
    return folder


def plain_appends(home: Path, count: int, *, sync: Callable[[int], None]) -> tuple[list[float], float]:
    """Seconds of each append of one writer that syncs after each, and of all."""
    seconds, began = [], time.perf_counter()
    with (home / "plain.jsonl").open("ab", buffering=0) as handle:
        for number in range(count):
            started = time.perf_counter()
            handle.write(to_line(Accepted(feedback_of(number), datetime.now(UTC))))
            sync(handle.fileno())
            seconds.append(time.perf_counter() - started)
    return seconds, time.perf_counter() - began


async def log_appends(home: Path, count: int, *, writers: int) -> tuple[list[float], float]:
    """The same through the service, by as many coroutines at once."""
    seconds: list[float] = []
    with open_service(home) as service:

        async def say(number: int) -> None:
            started = time.perf_counter()
            await service.accept([feedback_of(number)])
            seconds.append(time.perf_counter() - started)

        began = time.perf_counter()
        await at_once(say, range(count), writers=writers)
        return seconds, time.perf_counter() - began


async def at_once(ask: Callable[[int], Awaitable[None]], numbers: range, *, writers: int) -> None:
    """Ask for every number, as many at once as there are writers."""
    left = iter(numbers)

    async def writer() -> None:
        for number in left:
            await ask(number)

    await asyncio.gather(*(writer() for _ in range(writers)))


def kill_appends(home: Path, count: int) -> Row:
    """Append in a process that is killed when half is acknowledged; another begins from the start."""
    told = Told()
    for half in (True, False):
        with child("append", home, "0", str(count), str(KILLED_WITH)) as process:
            keys = iter(process.stdout or ())
            for line in itertools.islice(keys, count // 2 if half else None):
                told.acknowledged[line.strip()] += 1
            if half:
                process.send_signal(signal.SIGKILL)
            # What the pipe holds was acknowledged too; its last line may be torn.
            for line in keys:
                if line.endswith("\n"):
                    told.acknowledged[line.strip()] += 1
    return held_against(home, told, count=count)


async def kill_server(home: Path, count: int) -> Row:
    """Post to a server that is killed when half is answered, then everything once more to the one that is started after it."""
    told = Told()
    for half in (True, False):
        with child("serve", home) as process:
            port = int(process.stdout.readline() if process.stdout else 0)
            await post_all(f"http://127.0.0.1:{port}", told, count=count, kill=process if half else None)
            process.send_signal(signal.SIGKILL)
    return held_against(home, told, count=count)


async def post_all(address: str, told: Told, *, count: int, kill: "subprocess.Popen[str] | None") -> None:
    """Send every number; what a dead server does not answer is left."""
    async with httpx.AsyncClient(base_url=address, timeout=START_SECONDS, limits=httpx.Limits(max_connections=KILLED_WITH)) as client:

        async def post(number: int) -> None:
            said = feedback_of(number)
            body = {"key": said.key, "user_id": said.user_id, "kind": said.kind, "item_id": said.item_id}
            with contextlib.suppress(httpx.TransportError):
                answer = (await client.post("/v1/feedback", json=body)).raise_for_status().json()
                told.acknowledged[said.key] += 1
                told.contradicted += told.moments.setdefault(said.key, answer["event_at"]) != answer["event_at"]
            if kill is not None and len(told.acknowledged) == count // 2:
                kill.send_signal(signal.SIGKILL)

        await at_once(post, range(count), writers=KILLED_WITH)


@contextlib.contextmanager
def child(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that takes feedback; gone at the end of the block."""
    command = [sys.executable, "-m", "benchmarks.feedback_process", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def held_against(home: Path, told: Told, *, count: int) -> Row:
    """What the next refresh makes of the log, against what was acknowledged."""
    dataset = with_feedback(load_dataset(home / DATASET_FILE, variables={}), home / LOG)
    now = datetime.now(UTC)
    store, days = TableStore(home / "tables"), list(days_through(dataset.start, now.date()))
    config = IntakeConfig(threads=1, memory_limit="512MB")
    report = ingest(dataset, days=days, store=store, border=UserIdBorder(dataset.name), config=config, now=now, landed=home / "landed")
    ids = store.read_history(RAW_EVENTS, through=now.date()).column("event_id").to_pylist()
    there = Counter(each.removeprefix(EVENT_ID_PREFIX) for each in ids if each.startswith(EVENT_ID_PREFIX))
    return {
        "posts": count,
        "acknowledged": len(told.acknowledged),
        "answered twice": sum(times > 1 for times in told.acknowledged.values()),
        "lost": len(told.acknowledged.keys() - there.keys()),
        "doubled": sum(times > 1 for times in there.values()),
        "answered otherwise": told.contradicted,
        "kept out": report.num_quarantined,
    }


def measured(way: str, writers: int, found: tuple[list[float], float]) -> Row:
    """A row of speed."""
    seconds, wall = found
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1e3
    return {"way": way, "at once": writers, "appends/s": round(len(seconds) / wall), "p50 ms": round(p50, 2), "p99 ms": round(p99, 2)}


def killed_row(way: str, found: Row) -> Row:
    """A row of what a kill did."""
    return {"way": way, "at once": KILLED_WITH, **found}


if __name__ == "__main__":
    main(parse_options(__doc__))

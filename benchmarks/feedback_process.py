"""A process that takes feedback, to be killed from outside: from its own coroutines, or over HTTP.

`append` prints a key when it is acknowledged, one a line; `serve` prints its port when it is ready.

python -m benchmarks.feedback_process append|serve FOLDER [FIRST COUNT WRITERS]
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from ml.errors import KeyReusedError
from ml.ids import UserIdBorder
from ml.intake.dataset import load_dataset
from serving.feedback.entry import Feedback
from serving.feedback.service import FeedbackService

LOG, DATASET_FILE = "feedback", "shop.yaml"
NUM_USERS, NUM_ITEMS = 997, 499
# A key is its number, so that whoever sends it again sends the same.
_KINDS = ("click", "like", "dislike", "hide", "purchase")


class Given(BaseModel):
    """The body of a request."""

    key: str
    user_id: str
    kind: str
    item_id: str


def feedback_of(number: int) -> Feedback:
    """The `number`-th thing that is said."""
    kind = _KINDS[number % len(_KINDS)]
    return Feedback(key=f"k{number}", user_id=f"u{number % NUM_USERS}", kind=kind, item_id=f"i{number % NUM_ITEMS}")


def open_service(folder: Path) -> FeedbackService:
    """The service over the log in a folder that also holds a dataset file."""
    dataset = load_dataset(folder / DATASET_FILE, variables={})
    return FeedbackService(
        dataset,
        folder=folder / LOG,
        since=datetime.now(UTC),
        border=UserIdBorder(dataset.name),
        clock=lambda: datetime.now(UTC),
    )


async def append_all(service: FeedbackService, numbers: range, *, writers: int) -> None:
    """Say `numbers`, as many at once as there are writers, and print each when it is acknowledged."""
    left = iter(numbers)

    async def writer() -> None:
        for number in left:
            (accepted,) = await service.accept([feedback_of(number)])
            os.write(sys.stdout.fileno(), f"{accepted.feedback.key}\n".encode())

    await asyncio.gather(*(writer() for _ in range(writers)))


def app(folder: Path) -> FastAPI:
    """One route: what a service adds to the log is not measured here."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_service(folder) as app.state.feedback:
            yield

    found = FastAPI(lifespan=lifespan)

    @found.post("/v1/feedback")
    async def feedback(given: Given) -> dict[str, str]:
        try:
            (accepted,) = await found.state.feedback.accept([Feedback(**given.model_dump())])
        except KeyReusedError as error:
            raise HTTPException(409, str(error)) from error
        return {"event_id": accepted.event_id, "event_at": accepted.event_at.isoformat()}

    return found


def main(way: str, folder: str, *numbers: str) -> None:
    """What the command line asks for."""
    if way == "append":
        first, count, writers = map(int, numbers)
        with open_service(Path(folder)) as service:
            asyncio.run(append_all(service, range(first, first + count), writers=writers))
        return
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app(Path(folder)), log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])

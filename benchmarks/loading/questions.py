"""What is asked in `benchmarks.serving`, as bytes, each question over and over with other users, items or words."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.loading.connections import http_request, redis_request
from benchmarks.program import environment
from ml.contracts import CONTRACTS
from orchestration.environment import read_environment
from orchestration.scope import load_scope

NUM_ENTITIES = 100
SESSION_ITEMS = 3
# Words of the bundled sample's kind of shop; together enough texts that none is asked twice in a second.
_THINGS = ("sleeping bag", "kitchen knife", "running shoes", "desk lamp", "rain jacket", "garden tools", "yoga mat", "coffee grinder")
_WISHES = ("a warm", "something like a", "a cheap", "a gift:", "a light", "a sturdy", "适合冬天的", "a quiet")


@dataclass(frozen=True)
class Known:
    """Users who are recommended something, and items of the catalogue."""

    users: Sequence[str]
    items: Sequence[str]

    @classmethod
    def of(cls, home: Path) -> "Known":
        """Of the newest day of a finished home."""
        store = load_scope(read_environment(environment(home))).store
        day = store.days("recommendations")[-1]
        users = store.read(CONTRACTS["recommendations"], day=day).column("user_id").unique().to_pylist()
        return cls(sorted(users), store.read(CONTRACTS["items"], day=day).column("item_id").to_pylist())


def redis_values(known: Known, profiles: Sequence[bytes]) -> Iterator[bytes]:
    """Commands that put the first users' profiles under their ids."""
    return (redis_request(b"SET", user.encode(), profile) for user, profile in zip(known.users, profiles, strict=False))


def redis_gets(users: Sequence[str]) -> Iterator[bytes]:
    """One value."""
    return itertools.cycle([redis_request(b"GET", user.encode()) for user in users])


def redis_gets_of_many(users: Sequence[str]) -> Iterator[bytes]:
    """A hundred values in one command."""
    return itertools.cycle([redis_request(b"MGET", *(user.encode() for user in some)) for some in _hundreds(users)])


def features_of_one(known: Known) -> Iterator[bytes]:
    """Feast's server: one user's profile."""
    return itertools.cycle([_features([user]) for user in known.users])


def features_of_many(known: Known) -> Iterator[bytes]:
    """Feast's server: the profiles of a hundred."""
    return itertools.cycle([_features(some) for some in _hundreds(known.users)])


def profiles(known: Known) -> Iterator[bytes]:
    """Our service: one user's profile."""
    return itertools.cycle([http_request("GET", f"/v1/users/{user}/profile") for user in known.users])


def by_user(known: Known) -> Iterator[bytes]:
    """A list for a user."""
    return itertools.cycle([recommend(user_id=user) for user in known.users])


def by_text(_: Known) -> Iterator[bytes]:
    """A list for words, no two alike."""
    pairs = itertools.cycle(itertools.product(_WISHES, _THINGS))
    return (recommend(text=f"{wish} {thing}, number {number}") for number, (wish, thing) in enumerate(pairs))


def by_session(known: Known) -> Iterator[bytes]:
    """A list for somebody unknown with three items."""
    starts = range(0, len(known.items) - SESSION_ITEMS, SESSION_ITEMS)
    return itertools.cycle([recommend(items=known.items[start : start + SESSION_ITEMS]) for start in starts])


def clicks(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[bytes]:
    """Feedback on the first item of each user's answer, every time under a key of its own."""
    for number, (user, answer) in enumerate(itertools.cycle(answers.items())):
        yield feedback("click", user=user, answer=answer, key=f"click-{number}")


def recommend(**members: Any) -> bytes:
    """One question for a list."""
    return http_request("POST", "/v1/recommend", members)


def feedback(kind: str, *, user: str, answer: Mapping[str, Any], key: str) -> bytes:
    """What a user says of the first item of an answer they got."""
    body = {"id": key, "user_id": user, "kind": kind, "item_id": answer["items"][0]["item_id"], "impression": answer["impression"]}
    return http_request("POST", "/v1/feedback", body)


def _features(users: Sequence[str]) -> bytes:
    return http_request("POST", "/get-online-features", {"feature_service": "user_profile", "entities": {"user_id": list(users)}})


def _hundreds(users: Sequence[str]) -> list[Sequence[str]]:
    """Overlapping hundreds, so that few users make many of them."""
    return [[users[(start + place) % len(users)] for place in range(NUM_ENTITIES)] for start in range(0, len(users), 7)]

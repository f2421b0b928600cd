"""One thing a user said, as it is given, as it was accepted, and as a line of the log.

A line is a JSON object whose last member is the CRC-32 of the object without it, so
that a torn or changed line is known as one. Its members are the columns of raw events, and how the item was shown, which events leave out.
"""

import json
import math
import zlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from ml.intake.feedback import DEFAULT_WEIGHTS

KINDS = tuple(DEFAULT_WEIGHTS)
# The dataset's own event ids are another name space: neither may correct the other.
EVENT_ID_PREFIX = "feedback:"
MAX_ID_CHARACTERS, MAX_TEXT_CHARACTERS = 512, 16_384
_CHECK = b',"check":"%08x"}'
_CHECK_BYTES = len(_CHECK % 0)


@dataclass(frozen=True)
class ShownAs:
    """How the item was shown: by which release, at which rank from 1, and how likely it was to stand there.

    Reward over propensity is what tells how another draw would have done (docs/reranking.md).
    """

    release_id: str
    rank: int
    propensity: float


@dataclass(frozen=True)
class Feedback:
    """What a user says: of an item, or in words. `key` is the idempotency key; ids are raw, as the client knows them.

    How it was `shown` is kept beside it; the same said of another answer that showed it is the same feedback.

    Raises `ValueError`, naming the member and how to mend it.
    """

    key: str
    user_id: str
    kind: str
    item_id: str | None = None
    value: float | None = None
    text: str | None = None
    session_id: str | None = None
    shown: ShownAs | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; give one of {', '.join(KINDS)}")
        for name in ("key", "user_id", "item_id", "session_id"):
            _check_text(name, getattr(self, name), most=MAX_ID_CHARACTERS, needed=name in {"key", "user_id"})
        _check_text("text", self.text, most=MAX_TEXT_CHARACTERS, needed=self.kind == "text")
        if self.item_id is None and self.kind != "text":
            raise ValueError(f"item_id is missing; a {self.kind} is about an item")
        if self.value is None and self.kind == "rating":
            raise ValueError("value is missing; a rating needs its number")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"value is {self.value}; give a finite number")


@dataclass(frozen=True)
class Accepted:
    """Feedback that is durable: its event id, and the service's own time at which it counts."""

    feedback: Feedback
    event_at: datetime

    @property
    def event_id(self) -> str:
        """The id it has among raw events."""
        return f"{EVENT_ID_PREFIX}{self.feedback.key}"


def to_line(accepted: Accepted) -> bytes:
    """The line of the log, its line feed included."""
    said = accepted.feedback
    members = {
        "event_id": accepted.event_id,
        "user_id": said.user_id,
        "item_id": said.item_id,
        "event_type": said.kind,
        "event_at": accepted.event_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "value": said.value,
        "text": said.text,
        "session_id": said.session_id,
        "shown": asdict(said.shown) if said.shown else None,
    }
    given = {name: member for name, member in members.items() if member is not None}
    content = json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()
    return content[:-1] + _CHECK % zlib.crc32(content) + b"\n"


def is_whole(line: bytes) -> bool:
    """Whether these are the bytes that `to_line` wrote, line feed included."""
    check = line[-_CHECK_BYTES - 1 :]
    return check == _CHECK % zlib.crc32(line[: -_CHECK_BYTES - 1] + b"}") + b"\n"


def from_line(line: bytes) -> Accepted:
    """What a line that is whole says; raises `ValueError` for any other."""
    if not is_whole(line):
        raise ValueError(f"not a whole line of the feedback log: {line[:80]!r}")
    members = json.loads(line)
    del members["check"]
    key, at = members.pop("event_id").removeprefix(EVENT_ID_PREFIX), datetime.fromisoformat(members.pop("event_at"))
    shown = members.pop("shown", None)
    return Accepted(Feedback(key=key, kind=members.pop("event_type"), shown=ShownAs(**shown) if shown else None, **members), at)


def _check_text(name: str, text: str | None, *, most: int, needed: bool) -> None:
    if text is None and not needed:
        return
    if text is None or not text.strip():
        raise ValueError(f"{name} is {'missing' if text is None else 'empty'}; fill it in{'' if needed else ', or leave it out'}")
    if len(text) > most:
        raise ValueError(f"{name} has {len(text)} characters; at most {most} are kept")
    if "\0" in text or not _is_unicode(text):
        raise ValueError(f"{name} holds a NUL or half a surrogate pair; send whole UTF-8 text")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

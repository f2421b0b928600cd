"""The impression token: what was shown to whom, by which release, at which rank and with which propensity, signed.

Feedback is taken only on what a token says was shown. Items and the subject are in it
as hashes, so that a token has the same size whatever the ids are: at most
2,150 characters for 100 items.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ml.errors import SignedTextError
from serving.access.secrets import SecretKeeper
from serving.access.signatures import Signer, check_age

_VERSION = 1
_HEAD = struct.Struct(">BQB16sH")  # version, ms since 1970, bytes of the release id, subject, number of items
_ITEM = struct.Struct(">8sHf")  # item, rank, propensity
_MAX_RELEASE_BYTES = 64
_MAX_RANK = 65_535
_SIGNATURE_CHARACTERS = 8 + 43 + 2


@dataclass(frozen=True)
class Subject:
    """Whom something was shown to."""

    kind: Literal["user", "session"]
    id: str


@dataclass(frozen=True)
class Impression:
    """One item as it was shown: its rank from 1, and how likely it was to be shown there."""

    item_id: str
    rank: int
    propensity: float = 1.0


@dataclass(frozen=True)
class Shown:
    """What a token says of one item; propensity to seven digits."""

    release_id: str
    rank: int
    propensity: float
    shown_at: datetime


class ImpressionSigner:
    """Gives impression tokens and reads them."""

    def __init__(self, keeper: SecretKeeper, *, max_items: int, max_age: timedelta) -> None:
        self._max_items = max_items
        self._max_age = max_age
        self._signer = Signer(keeper, purpose="impression", max_characters=max_characters(max_items))

    def sign(self, impressions: Sequence[Impression], *, release_id: str, subject: Subject, now: datetime) -> str:
        """The token of one answer; raises `ValueError` for too many items, an item twice, or a rank or propensity that cannot be."""
        release = release_id.encode()
        if len(release) > _MAX_RELEASE_BYTES:
            raise ValueError(f"release id of {len(release)} bytes, a token holds {_MAX_RELEASE_BYTES}")
        self._check(impressions)
        head = _HEAD.pack(_VERSION, round(now.timestamp() * 1000), len(release), _subject_hash(subject), len(impressions))
        items = b"".join(_ITEM.pack(_item_hash(shown.item_id), shown.rank, shown.propensity) for shown in impressions)
        return self._signer.sign(head + release + items)

    def verify(self, token: str, *, item_id: str, subject: Subject, now: datetime) -> Shown:
        """How an item was shown; raises `SignedTextError` with its reason.

        Reasons: "malformed", "unknown secret", "wrong signature", "expired", "other subject", "not shown".
        """
        content = self._signer.verify(token)
        _, milliseconds, release_bytes, subject_hash, _ = _HEAD.unpack_from(content)
        shown_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        check_age(shown_at, max_age=self._max_age, now=now, purpose="impression")
        if subject_hash != _subject_hash(subject):
            raise SignedTextError(
                "other subject", f"this impression was shown to another {subject.kind}; send the one this {subject.kind} got"
            )
        start = _HEAD.size + release_bytes
        wanted = _item_hash(item_id)
        for item_hash, rank, propensity in _ITEM.iter_unpack(content[start:]):
            if item_hash == wanted:
                return Shown(content[_HEAD.size : start].decode(), rank, propensity, shown_at)
        raise SignedTextError("not shown", "this impression does not hold the item; send the one of the answer that showed it")

    def _check(self, impressions: Sequence[Impression]) -> None:
        if len(impressions) > self._max_items:
            raise ValueError(f"{len(impressions)} items were shown at once, a token holds {self._max_items} (serving.max_k)")
        if len({shown.item_id for shown in impressions}) < len(impressions):
            raise ValueError("an item was shown twice in one answer")
        for shown in impressions:
            if not (1 <= shown.rank <= _MAX_RANK and 0 < shown.propensity <= 1):
                raise ValueError(f"rank {shown.rank} must lie in 1 to {_MAX_RANK}, propensity {shown.propensity} above 0 and up to 1")


def max_characters(max_items: int) -> int:
    """The longest token of so many items."""
    num_bytes = _HEAD.size + _MAX_RELEASE_BYTES + max_items * _ITEM.size
    return _SIGNATURE_CHARACTERS + -(-num_bytes * 4 // 3)


def _subject_hash(subject: Subject) -> bytes:
    return hashlib.sha256(f"{subject.kind}\0{subject.id}".encode()).digest()[:16]


def _item_hash(item_id: str) -> bytes:
    return hashlib.sha256(item_id.encode()).digest()[:8]

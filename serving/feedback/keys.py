"""Idempotency keys lately seen: the same key with the same feedback is answered as the first time.

A key is remembered for a while, by hash of what came with it; after that, the same event
id makes a repeated delivery one event all the same (`ml.intake.deliveries`).
"""

import hashlib
from collections import OrderedDict
from dataclasses import astuple, replace
from datetime import datetime, timedelta

from ml.errors import KeyReusedError
from serving.feedback.entry import Accepted, Feedback

REMEMBERED = timedelta(days=7)


class KeyMemory:
    """Keys of the last `REMEMBERED`; about 250 bytes each."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[bytes, datetime]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def answer(self, feedback: Feedback) -> Accepted | None:
        """What was answered when this came first; None where it is new. Raises `KeyReusedError` for other feedback under its key."""
        known = self._known.get(feedback.key)
        if known is None:
            return None
        digest, event_at = known
        if digest != _digest(feedback):
            raise KeyReusedError(feedback.key)
        return Accepted(feedback, event_at)

    def remember(self, accepted: Accepted) -> None:
        """Keep an answer that is durable."""
        self._known[accepted.feedback.key] = (_digest(accepted.feedback), accepted.event_at)

    def forget(self, *, now: datetime) -> None:
        """Drop the keys that are older than `REMEMBERED`."""
        while self._known and next(iter(self._known.values()))[1] < now - REMEMBERED:
            self._known.popitem(last=False)


def _digest(feedback: Feedback) -> bytes:
    # 4 and 4.0 are one number.
    value = None if feedback.value is None else float(feedback.value)
    return hashlib.blake2b(repr(astuple(replace(feedback, value=value, shown=None))).encode(), digest_size=16).digest()

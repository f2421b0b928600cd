"""Texts a client holds and cannot change: HMAC-SHA-256 over what they say and what they are for.

`Signer` signs bytes, `SignedState` a JSON document with its time. Signed is not
hidden: whoever holds a text can read it. Form: `<secret id>.<content>.<signature>`,
the last two in URL-safe base64.
"""

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.errors import SignedTextError
from serving.access.secrets import Secret, SecretKeeper

_NUM_DOTS = 2


class Signer:
    """Signs bytes for one purpose; a text signed for another purpose is refused.

    `max_characters` bounds what is signed, and what is looked at.
    """

    def __init__(self, keeper: SecretKeeper, *, purpose: str, max_characters: int) -> None:
        self._keeper = keeper
        self._purpose = purpose
        self._max_characters = max_characters

    def sign(self, content: bytes) -> str:
        """The signed text; raises `ValueError` where it would be too long."""
        secret = self._keeper.believed()[0]
        text = f"{secret.id}.{_encoded(content)}.{_encoded(self._signature(secret, content))}"
        if len(text) > self._max_characters:
            raise ValueError(f"a signed {self._purpose} of {len(text)} characters is longer than {self._max_characters}; put less into it")
        return text

    def verify(self, text: str) -> bytes:
        """What was signed; raises `SignedTextError` for any other text."""
        if len(text) > self._max_characters or text.count(".") != _NUM_DOTS or not text.isascii():
            raise SignedTextError("malformed", f"send the {self._purpose} as it was given")
        secret_id, content_text, signature_text = text.split(".")
        content, signature = self._decoded(content_text), self._decoded(signature_text)
        secret = next((known for known in self._keeper.believed() if known.id == secret_id), None)
        if secret is None:
            raise SignedTextError("unknown secret", f"the {self._purpose} is too old, or not of this service; ask for a new one")
        if not hmac.compare_digest(signature, self._signature(secret, content)):
            raise SignedTextError("wrong signature", f"send the {self._purpose} as it was given")
        return content

    def _signature(self, secret: Secret, content: bytes) -> bytes:
        return hmac.digest(secret.key, self._purpose.encode() + b"\0" + content, hashlib.sha256)

    def _decoded(self, text: str) -> bytes:
        try:
            content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            content = b""
        # One content has one text: what decodes leniently is not what we gave.
        if _encoded(content) != text:
            raise SignedTextError("malformed", f"send the {self._purpose} as it was given")
        return content


class SignedState:
    """A small JSON document that its client keeps between two requests, such as what a conversation has come to."""

    def __init__(self, keeper: SecretKeeper, *, purpose: str, max_characters: int = 8192) -> None:
        self._signer = Signer(keeper, purpose=purpose, max_characters=max_characters)
        self._purpose = purpose

    def sign(self, state: Mapping[str, Any], *, now: datetime) -> str:
        """The state as a text; raises `ValueError` where that would be too long."""
        document = {"at": now.timestamp(), "state": dict(state)}
        return self._signer.sign(zlib.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), 9))

    def verify(self, text: str, *, max_age: timedelta, now: datetime) -> dict[str, Any]:
        """The state; raises `SignedTextError` where it is not ours, or older than `max_age`."""
        # Unpacked only after the signature held: nobody else can have packed it.
        document = json.loads(zlib.decompress(self._signer.verify(text)))
        check_age(datetime.fromtimestamp(document["at"], UTC), max_age=max_age, now=now, purpose=self._purpose)
        state: dict[str, Any] = document["state"]
        return state


def check_age(signed_at: datetime, *, max_age: timedelta, now: datetime, purpose: str) -> None:
    """Raise `SignedTextError` where something was signed longer ago than `max_age`."""
    if now - signed_at > max_age:
        raise SignedTextError("expired", f"this {purpose} is of {signed_at:%Y-%m-%dT%H:%M:%SZ} and held for {max_age}; ask for a new one")


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

"""API keys: 256 random bits shown once, kept as hashes, with scopes, a name and an end.

A key reads `ig_<id>_<secret>`: the id finds it, the secret is compared in constant
time. Checking a request is `serving.access.guard`.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from ml.errors import AccessError
from serving.access.private_files import FileSection, Watched, one_writer, read_private, write_private

Scope = Literal["read", "feedback", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MAX_LIVE_PER_NAME = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECRET_BYTES = 32
_TEXT = re.compile(r"ig_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NO_HASH = "0" * 64


class Key(FileSection):
    """What is kept of a key: everything but its secret."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, StringConstraints(pattern=f"^{_NAME.pattern}$")]
    scopes: tuple[Scope, ...] = Field(min_length=1)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def state(self, now: datetime) -> Literal["live", "revoked", "expired"]:
        """Whether it lets anybody in at a moment, or why not."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if self.expires_at is None or now < self.expires_at else "expired"

    def described(self, now: datetime) -> dict[str, object]:
        """What a person may see of it: everything but the hash."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "state": self.state(now),
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "expires_at": self.expires_at.isoformat(timespec="seconds") if self.expires_at else None,
        }


class KeyFile(FileSection):
    """Every key there ever was, oldest first."""

    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same id")
        return self


@dataclass(frozen=True)
class NewKey:
    """A key just made and its text, which nobody can read again."""

    key: Key
    text: str

    def __repr__(self) -> str:
        return f"NewKey({self.key.id})"


def key_file(folder: Path) -> Path:
    """Where the keys of a dataset are kept; `folder` is `DatasetHome.access`."""
    return folder / "keys.json"


def read_keys(folder: Path) -> tuple[Key, ...]:
    """Every key, oldest first; raises `AccessError` where the file is wrong."""
    path = key_file(folder)
    return read_private(path, KeyFile).keys if path.exists() else ()


def checked_scopes(words: Collection[str]) -> tuple[Scope, ...]:
    """Words as scopes; raises `AccessError` for one that is none."""
    unknown = sorted(set(words) - set(SCOPES))
    if unknown:
        raise AccessError(f"no such scope: {', '.join(unknown)}; scopes are {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in words)


def create_key(folder: Path, *, name: str, scopes: Collection[Scope], now: datetime, expires_at: datetime | None = None) -> NewKey:
    """Make a key; raises `AccessError` for a wrong name, an end that is past, or a third live key of one name."""
    if not _NAME.fullmatch(name):
        raise AccessError(f"key name {name!r}: give 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first")
    if not scopes:
        raise AccessError(f"key {name} needs a scope: one or more of {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= now:
        raise AccessError(f"key {name} would end at {expires_at.isoformat()}, which is past; give a later end")
    with one_writer(folder):
        keys = read_keys(folder)
        _refuse_third(name, keys, now)
        new = _new_key(name, scopes, now=now, expires_at=expires_at)
        write_private(KeyFile(keys=(*keys, new.key)), key_file(folder))
    return new


def revoke_key(folder: Path, key_id: str, *, now: datetime) -> Key:
    """End a key now; raises `AccessError` where no live key has this id, listing those that do."""
    with one_writer(folder):
        keys = read_keys(folder)
        live = [key for key in keys if key.state(now) == "live"]
        if key_id not in {key.id for key in live}:
            listed = ", ".join(f"{key.id} ({key.name})" for key in live) or "none"
            raise AccessError(f"no live key has the id {key_id!r}; live keys: {listed}")
        changed = tuple(key.model_copy(update={"revoked_at": now}) if key.id == key_id else key for key in keys)
        write_private(KeyFile(keys=changed), key_file(folder))
    return next(key for key in changed if key.id == key_id)


class KeyRing:
    """The keys of a running service, as the file has them at each request."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._file = Watched(key_file(folder), KeyFile)
        self._now = now
        self._was_there = False

    @property
    def path(self) -> Path:
        """The file that is watched."""
        return self._file.path

    def has_live(self) -> bool:
        """Whether any key lets anybody in; raises `AccessError` where the file is wrong."""
        return any(key.state(self._now()) == "live" for key in self._keys() or ())

    def is_required(self) -> bool:
        """Whether a caller needs a key: from the first one made on, also when all have ended or the file is gone.

        Raises `AccessError` where the file is wrong.
        """
        return self._keys() is not None or self._was_there

    def find(self, text: str) -> Key | None:
        """The live key with this text; raises `AccessError` where the file is wrong."""
        matched = _TEXT.fullmatch(text)
        key_id = matched.group(1) if matched else None
        key = next((known for known in self._keys() or () if known.id == key_id), None)
        # An unknown id is compared too, so that the time taken does not tell which ids exist.
        is_right = hmac.compare_digest(_hash(text), key.sha256 if key else _NO_HASH)
        return key if key is not None and is_right and key.state(self._now()) == "live" else None

    def _keys(self) -> tuple[Key, ...] | None:
        content = self._file.content()
        if content is None:
            return None
        self._was_there = True
        return content.keys


def _new_key(name: str, scopes: Collection[Scope], *, now: datetime, expires_at: datetime | None) -> NewKey:
    key_id = secrets.token_hex(6)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    text = f"ig_{key_id}_{secret}"
    return NewKey(Key(id=key_id, name=name, scopes=checked_scopes(scopes), sha256=_hash(text), created_at=now, expires_at=expires_at), text)


def _refuse_third(name: str, keys: Collection[Key], now: datetime) -> None:
    live = [key for key in keys if key.name == name and key.state(now) == "live"]
    if len(live) >= MAX_LIVE_PER_NAME:
        oldest = live[0]
        listed = ", ".join(f"{key.id} of {key.created_at:%Y-%m-%d}" for key in live)
        raise AccessError(f"{name} has {len(live)} live keys ({listed}); end one first: interest-graph keys revoke {oldest.id}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""The server's own secrets, which signed texts are signed with: the newest signs, the one before is still believed.

Kept in the dataset's home for the owner's eyes only. Signing is `serving.access.signatures`.
"""

import secrets as randomness
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, SecretStr, StringConstraints, field_serializer, field_validator

from ml.errors import AccessError
from serving.access.private_files import FileSection, Watched, one_writer, read_private, write_private

NUM_BELIEVED = 2
_SECRET_BYTES = 32


class Secret(FileSection):
    """One secret: 256 random bits, in hexadecimal."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    secret: SecretStr
    created_at: AwareDatetime

    @field_validator("secret")
    @classmethod
    def _is_whole(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) != 2 * _SECRET_BYTES or not set(secret.get_secret_value()) <= set("0123456789abcdef"):
            raise ValueError(f"a secret is {2 * _SECRET_BYTES} hexadecimal digits")
        return secret

    @field_serializer("secret", when_used="json")
    def _written(self, secret: SecretStr) -> str:
        return secret.get_secret_value()

    @property
    def key(self) -> bytes:
        """The secret's 32 bytes."""
        return bytes.fromhex(self.secret.get_secret_value())


class SecretFile(FileSection):
    """The secrets that are believed, newest first."""

    version: Literal[1] = 1
    secrets: tuple[Secret, ...] = Field(min_length=1, max_length=NUM_BELIEVED)


def secret_file(folder: Path) -> Path:
    """Where the secrets of a dataset are kept; `folder` is `DatasetHome.access`."""
    return folder / "secrets.json"


def rotate_secret(folder: Path, *, now: datetime) -> Secret:
    """Sign with a new secret from now on; what the one before signed is believed until the next rotation."""
    with one_writer(folder):
        path = secret_file(folder)
        kept = read_private(path, SecretFile).secrets if path.exists() else ()
        new = _new_secret(now)
        write_private(SecretFile(secrets=(new, *kept)[:NUM_BELIEVED]), path)
    return new


class SecretKeeper:
    """The secrets of a running service, as the file has them; made when there is none yet.

    Raises `AccessError` where the file is wrong.
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._file = Watched(secret_file(folder), SecretFile)
        with one_writer(folder):
            if self._file.content() is None:
                write_private(SecretFile(secrets=(_new_secret(now()),)), self._file.path)

    def believed(self) -> tuple[Secret, ...]:
        """The secrets a signature may come from, newest first; raises `AccessError` where the file is wrong or gone."""
        content = self._file.content()
        if content is None:
            raise AccessError(f"{self._file.path} is gone; put it back, or start the service anew: what was signed before is then refused")
        return content.secrets


def _new_secret(now: datetime) -> Secret:
    return Secret(id=randomness.token_hex(4), secret=SecretStr(randomness.token_hex(_SECRET_BYTES)), created_at=now)

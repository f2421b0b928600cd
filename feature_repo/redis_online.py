"""The rows of a generation in Redis: keys that end with the generation's Feast project.

Feast finds a project's keys by how they end, and so those of `myshop` with those of
`shop`; here a key counts only if nothing stands between entity id and project.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from feast import FeatureView
from feast.infra.online_stores.helpers import _redis_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.repo_config import RepoConfig
from redis.exceptions import RedisError

from feature_repo.definitions import JOIN_KEYS
from feature_repo.online import BATCH_ROWS
from ml.errors import PublishError

# Feast's entity key, version 3: number of keys, the join key, then type and length of the value (4 bytes each) and the value.
VALUE_HEADER_BYTES = 8


class RedisRows:
    """One generation's keys in a Redis database."""

    def __init__(self, config: RepoConfig) -> None:
        self._project = config.project.encode()
        self._address = config.online_store.connection_string.split(",")[0]
        self._client: Any = RedisOnlineStore()._get_client(config.online_store)

    def check(self) -> None:
        """Raises `PublishError` if no Redis answers."""
        try:
            self._client.ping()
        except RedisError as error:
            raise PublishError(f"no Redis answers at {self._address} ({error}); start it or set features.redis_connection") from error

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view."""
        (join_key,) = view.join_keys
        return sum(self._num_holding(keys, view) for keys in self._keys_by(join_key))

    def seal(self, views: Sequence[FeatureView]) -> None:
        """Nothing to do: what reaches the disk is Redis's own setting, and Feast's writer there keeps the newer value itself."""

    def remove(self) -> None:
        """Remove every key of the project, in the background of the server."""
        self.check()
        for join_key in JOIN_KEYS:
            for keys in self._keys_by(join_key):
                self._client.unlink(*keys)

    def _num_holding(self, keys: Sequence[bytes], view: FeatureView) -> int:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hexists(key, f"_ts:{view.name}")
            return sum(pipe.execute())

    def _keys_by(self, join_key: str) -> Iterator[list[bytes]]:
        """Keys of this project's entities of one kind, some thousand at a time, none twice."""
        prefix = _redis_key_prefix([join_key])
        seen: set[bytes] = set()
        chunk: list[bytes] = []
        for key in self._client.scan_iter(match=prefix + b"*" + self._project, count=BATCH_ROWS):
            # SCAN may return a key twice while the server resizes its table.
            if key not in seen and self._is_ours(key, len(prefix)):
                seen.add(key)
                chunk.append(key)
            if len(chunk) == BATCH_ROWS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _is_ours(self, key: bytes, prefix_length: int) -> bool:
        start = prefix_length + VALUE_HEADER_BYTES
        length = int.from_bytes(key[start - 4 : start], "little")
        return len(key) == start + length + len(self._project)

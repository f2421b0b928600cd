"""Feast's Redis online store, brought to hold exactly one day's rows.

Redis has no transaction over so many keys: a reader may meet old and new rows
while a publish runs. The record says `publishing` until the last key is written,
so a killed publish is known and the next one completes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from feast import FeatureView
from feast.infra.online_stores.helpers import _mmh3, _redis_key, _redis_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.repo_config import RepoConfig
from redis.exceptions import RedisError

from feature_repo.online import BATCH_ROWS, Done, batches
from feature_repo.publication import Publication
from ml.errors import PublishError

# Feast's entity key, version 3: number of keys, the join key, then type and length of the value (4 bytes each) and the value.
VALUE_HEADER_BYTES = 8


class RedisOnline:
    """One dataset's keys in a Redis database."""

    def __init__(self, config: RepoConfig) -> None:
        """Connect; raises `PublishError` if no Redis answers."""
        self._config = config.model_copy(deep=True)
        # Feast's own guard also refuses a corrected row of the same day; which day may be written is decided in `publish`.
        self._config.online_store.skip_dedup = True
        self._project = config.project.encode()
        self._store = RedisOnlineStore()
        self._client: Any = self._store._get_client(config.online_store)
        try:
            self._client.ping()
        except RedisError as error:
            address = config.online_store.connection_string.split(",")[0]
            raise PublishError(f"no Redis answers at {address} ({error}); start it or set features.redis_connection") from error

    def publication(self) -> Publication | None:
        """What the database holds of this dataset, or None."""
        found = self._client.get(self._record)
        return Publication.from_json(found.decode()) if found else None

    def replace(
        self, tables: Mapping[str, pa.Table], *, views: Sequence[FeatureView], publication: Publication, done: Done
    ) -> dict[str, int]:
        """Make each view hold exactly its table's rows; returns entities removed per view."""
        self._client.set(self._record, publication.to_json())
        removed = {}
        for view in views:
            written: set[bytes] = set()
            for rows in batches(tables[view.name], view=view):
                self._store.online_write_batch(self._config, view, rows, progress=None)
                written.update(_redis_key(self._config.project, entity, 3) for entity, *_ in rows)
                done.add(len(rows))
            removed[view.name] = self._remove_others(view, written)
        self._client.set(self._record, publication.finished().to_json())
        return removed

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view."""
        return sum(1 for _ in self._keys_of(view))

    @property
    def _record(self) -> str:
        return f"interest_graph:publication:{self._config.project}"

    def _remove_others(self, view: FeatureView, written: set[bytes]) -> int:
        gone = [key for key in self._keys_of(view) if key not in written]
        fields = [_mmh3(f"{view.name}:{feature.name}") for feature in view.features]
        with self._client.pipeline(transaction=False) as pipe:
            for key in gone:
                # A key whose last field goes is gone itself; other views of the entity keep theirs.
                pipe.hdel(key, _moment_field(view), *fields)
            pipe.execute()
        return len(gone)

    def _keys_of(self, view: FeatureView) -> Iterator[bytes]:
        """Keys of this dataset that hold values of `view`."""
        pattern = _redis_key_prefix(view.join_keys) + b"*" + self._project
        chunk: list[bytes] = []
        for key in self._client.scan_iter(match=pattern, count=BATCH_ROWS):
            if self._is_ours(key, view):
                chunk.append(key)
            if len(chunk) == BATCH_ROWS:
                yield from self._holding(chunk, view)
                chunk = []
        yield from self._holding(chunk, view)

    def _holding(self, keys: Sequence[bytes], view: FeatureView) -> Iterator[bytes]:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hexists(key, _moment_field(view))
            held: list[Any] = pipe.execute()
        return (key for key, found in zip(keys, held, strict=True) if found)

    def _is_ours(self, key: bytes, view: FeatureView) -> bool:
        """Whether nothing stands between entity id and project: keys of `myshop` end like those of `shop`."""
        start = len(_redis_key_prefix(view.join_keys)) + VALUE_HEADER_BYTES
        length = int.from_bytes(key[start - 4 : start], "little")
        return len(key) == start + length + len(self._project)


def _moment_field(view: FeatureView) -> str:
    return f"_ts:{view.name}"

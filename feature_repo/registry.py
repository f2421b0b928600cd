"""A Feast registry file that is whole at every moment.

Feast 0.67 rewrites the file in place, and a reader that meets it empty takes it
for a registry without features; here it is replaced by rename.
"""

import os
import uuid
from datetime import UTC, datetime

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry


class AtomicFileRegistryStore(FileRegistryStore):  # type: ignore[misc]  # feast ships no types
    """Feast's file registry, written to a temporary name, synced and renamed."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC))
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._filepath.with_name(f".{self._filepath.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as handle:
            handle.write(registry_proto.SerializeToString())
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(self._filepath)

"""A Feast registry file that is whole at every moment.

Feast 0.67 rewrites the file in place, and a reader that meets it empty takes it
for a registry without features; here it is replaced by rename.
"""

import uuid
from datetime import UTC, datetime

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry

from ml.contracts.files import whole_file


class AtomicFileRegistryStore(FileRegistryStore):  # type: ignore[misc]  # feast ships no types
    """Feast's file registry, written to a temporary name, synced and renamed."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC))
        with whole_file(self._filepath) as handle:
            handle.write(registry_proto.SerializeToString())

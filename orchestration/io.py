"""How assets hand over: contract tables as Parquet files, checked on write; candidates as folders."""

from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow as pa

from ml.contracts import CONTRACTS
from ml.contracts.store import TableStore
from ml.training.candidate import Candidate, NoCandidate, load_candidate, save_candidate
from orchestration.metadata import markdown_table


class ContractTableIOManager(dg.IOManager):
    """Writes a partition through its contract; reads a snapshot's day or a daily table's whole history to that day."""

    def __init__(self, store: TableStore) -> None:
        self.store = store

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        """Conform and write one partition atomically; raises `ContractError` with every failure."""
        contract = CONTRACTS[context.asset_key.path[-1]]
        path = self.store.write(contract, obj, day=date.fromisoformat(context.partition_key))
        context.add_output_metadata(
            {
                "dagster/partition_row_count": obj.num_rows,
                "path": dg.MetadataValue.path(str(path)),
                "preview": dg.MetadataValue.md(markdown_table(obj.slice(0, 5))),
            }
        )

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """A snapshot's partition, or a daily table's history through it."""
        contract = CONTRACTS[context.asset_key.path[-1]]
        day = date.fromisoformat(context.partition_key)
        if contract.grain == "daily":
            return self.store.read_history(contract, through=day)
        return self.store.read(contract, day=day)


class CandidateIOManager(dg.IOManager):
    """Keeps the candidate of each day in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def handle_output(self, context: dg.OutputContext, obj: Candidate | NoCandidate) -> None:
        """Write the day's candidate."""
        directory = self.folder / context.partition_key
        save_candidate(obj, directory)
        context.add_output_metadata({"path": dg.MetadataValue.path(str(directory))})

    def load_input(self, context: dg.InputContext) -> Candidate | NoCandidate:
        """Read the day's candidate."""
        return load_candidate(self.folder / context.partition_key)

"""Which partitions an asset of day D reads: the day itself, or every day through it."""

import warnings

import dagster as dg

from ml.contracts import CONTRACTS

SAME_DAY = dg.TimeWindowPartitionMapping()
with warnings.catch_warnings():
    # In beta by name in Dagster 1.13; our table of edges (tests/orchestration/test_definitions.py) tells when it changes.
    warnings.simplefilter("ignore")
    # A hundred years back: Dagster cuts it at the dataset's first day.
    ALL_DAYS_THROUGH = dg.TimeWindowPartitionMapping(start_offset=-36_500, allow_nonexistent_upstream_partitions=True)

# Days of a backfill that one run takes of everything behind the marts: as many as a run that dies may cost.
DAYS_PER_RUN = 7


def mapping_of(upstream: str) -> dg.PartitionMapping:
    """A daily table is read as history, everything else as it stood at the day's end."""
    contract = CONTRACTS.get(upstream)
    return ALL_DAYS_THROUGH if contract is not None and contract.grain == "daily" else SAME_DAY

"""Raw and marts held against what landed, day by day: which days changed since they were last built.

A day has changed when the digest of its landed events is another one than its raw
partition was made from: counts alone would miss a correction.
"""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.behaviour import RAW_EVENTS, USER_ACTIVITY_DAILY
from ml.contracts.outputs import RECONCILIATION
from ml.contracts.store import TableStore
from ml.intake.ingest import EMPTY_DIGEST

LANDING = "landing"
AS_LANDED, CHANGED, NOT_BUILT, MARTS_DIFFER = "as landed", "changed since built", "not built", "marts differ"


def reconcile(landed: pa.Table, *, store: TableStore, through: date) -> pa.Table:
    """The `reconciliation` of every day up to `through` that has events in the landing files or in the tables.

    `landed` is what `landed_days` found: `day`, `num_events`, `num_superseded`, `digest`.
    """
    found = {row["day"]: row for row in landed.to_pylist()}
    nothing = {"num_events": 0, "num_superseded": 0, "digest": EMPTY_DIGEST}
    days = sorted({*found, *store.days(RAW_EVENTS.name)})
    rows = [_row(day, found.get(day, nothing), store=store) for day in days if day <= through]
    return RECONCILIATION.conform(pa.Table.from_pylist([row for row in rows if _says_something(row)], schema=RECONCILIATION.schema))


def days_in_state(reconciliation: pa.Table, *states: str) -> list[date]:
    """The days in one of these states, oldest first."""
    chosen = reconciliation.filter(pc.is_in(reconciliation.column("state"), value_set=pa.array(states)))
    days: Sequence[date] = chosen.column("day").to_pylist()
    return sorted(days)


def _row(day: date, landed: dict[str, object], *, store: TableStore) -> dict[str, object]:
    raw = store.manifest(RAW_EVENTS.name, day=day)
    counts = {"day": day, "num_landed": landed["num_events"], "num_superseded": landed["num_superseded"]}
    if raw is None:
        return {**counts, "num_raw": None, "num_in_marts": None, "state": NOT_BUILT}
    in_marts = _events_in_marts(day, store=store)
    state = AS_LANDED
    if raw.recipe.inputs.get(LANDING) != landed["digest"]:
        state = CHANGED
    elif in_marts is None:
        state = NOT_BUILT
    elif in_marts != raw.num_rows - int(str(landed["num_superseded"])):
        state = MARTS_DIFFER
    return {**counts, "num_raw": raw.num_rows, "num_in_marts": in_marts, "state": state}


def _events_in_marts(day: date, *, store: TableStore) -> int | None:
    if store.manifest(USER_ACTIVITY_DAILY.name, day=day) is None:
        return None
    return int(pc.sum(store.read(USER_ACTIVITY_DAILY, day=day).column("num_events")).as_py() or 0)


def _says_something(row: dict[str, object]) -> bool:
    return bool(row["num_landed"] or row["num_raw"] or row["num_in_marts"])

"""Is a day's input as usual? Row counts, null shares and event types against the weeks before.

Each alarm says which table, how much, and what to do; a grave one stops what comes
after. Distributions that shift slowly are `drift`; a broken row is the intake's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

import pyarrow as pa

from ml.config.pipeline import MonitoringConfig

MEND = (
    "mend or complete the landing files and run the day again; "
    "if it is right so, run it again with --accept (in Dagster: the tag interest_graph/accept=true)"
)


@dataclass(frozen=True)
class Alarm:
    """One unusual thing about a day."""

    table: str
    what: str
    is_grave: bool

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"


def volume_alarms(num_rows: Mapping[date, int], *, table: str, day: date, config: MonitoringConfig) -> list[Alarm]:
    """Rows of `day` against the median of the `volume_days` before it; nothing where there are too few days or rows to say.

    A factor between `unusual_volume_factor` and `max_volume_factor`, up or down, is worth a look; beyond it is grave.
    """
    before = [num_rows[known] for known in _days_before(num_rows, day=day, config=config)]
    if len(before) < config.min_volume_days or median(before) < config.min_volume_rows:
        return []
    usual, found = median(before), num_rows.get(day, 0)
    factor = max(found / usual, usual / found if found else float("inf"))
    if factor < config.unusual_volume_factor:
        return []
    what = f"{found:,} rows on {day}, usually {usual:,.0f} (median of {len(before)} days), {found / usual:.0%}"
    return [Alarm(table, what, is_grave=factor >= config.max_volume_factor)]


def null_alarms(null_shares: Mapping[date, Mapping[str, float]], *, table: str, day: date, config: MonitoringConfig) -> list[Alarm]:
    """Columns whose share of nulls on `day` lies above the median of the days before by more than is usual.

    A rise of `unusual_null_rise` is worth a look, one of `max_null_rise` is grave.
    """
    before = _days_before(null_shares, day=day, config=config)
    if len(before) < config.min_volume_days or day not in null_shares:
        return []
    alarms = []
    for column, share in sorted(null_shares[day].items()):
        usual = median(null_shares[known].get(column, 0.0) for known in before)
        if share - usual >= config.unusual_null_rise:
            what = f"column {column} is null in {share:.0%} of the rows of {day}, usually in {usual:.0%}"
            alarms.append(Alarm(table, what, is_grave=share - usual >= config.max_null_rise))
    return alarms


def event_type_alarms(reasons: Sequence[str], *, num_events: int, config: MonitoringConfig) -> list[Alarm]:
    """Events kept out for their type, by the `reasons` they were given.

    From `unusual_unknown_events` of the day's events on they are worth a look, above `max_unknown_events` grave.
    """
    share = len(reasons) / max(len(reasons) + num_events, 1)
    if not reasons or share < config.unusual_unknown_events:
        return []
    named = ", ".join(f"{reason} ({number:,} events)" for reason, number in Counter(reasons).most_common(10))
    what = f"{share:.1%} of the day's events were kept out for their type: {named}; add it to the dataset file's weights"
    return [Alarm("raw_events", what, is_grave=share > config.max_unknown_events)]


def verdict(alarms: Sequence[Alarm]) -> tuple[bool, bool, str]:
    """Whether all is usual, whether something is grave, and the sentences with what to do."""
    if not alarms:
        return True, False, "as usual"
    return False, any(alarm.is_grave for alarm in alarms), "; ".join(map(str, alarms)) + f". What to do: {MEND}."


def null_shares(table: pa.Table) -> dict[str, float]:
    """The share of nulls in every column, in [0, 1]; none for a table without rows."""
    return {name: table.column(name).null_count / table.num_rows for name in table.column_names} if table.num_rows else {}


def _days_before(known: Mapping[date, object], *, day: date, config: MonitoringConfig) -> list[date]:
    first = day - timedelta(days=config.volume_days)
    return sorted(each for each in known if first <= each < day)

"""What is unusual is named with table, figure and mend; what cannot be judged is not."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from ml.config.pipeline import MonitoringConfig
from monitoring.guards import event_type_alarms, null_alarms, null_shares, verdict, volume_alarms

CONFIG = MonitoringConfig()
DAY = date(2024, 3, 29)
WEEKS = {DAY - timedelta(days=back): 1000 + back for back in range(1, 29)}


@pytest.mark.parametrize(
    ("found", "num_alarms", "is_grave"),
    [(1000, 0, False), (400, 0, False), (300, 1, False), (90, 1, True), (0, 1, True), (4000, 1, False), (50_000, 1, True)],
)
def test_a_days_rows_are_held_against_the_weeks_before(found, num_alarms, is_grave) -> None:
    alarms = volume_alarms({**WEEKS, DAY: found}, table="raw_events", day=DAY, config=CONFIG)
    assert [alarm.is_grave for alarm in alarms] == [is_grave] * num_alarms


def test_an_alarm_says_which_how_much_and_what_to_do() -> None:
    passed, is_grave, said = verdict(volume_alarms({**WEEKS, DAY: 90}, table="raw_events", day=DAY, config=CONFIG))
    assert (passed, is_grave) == (False, True)
    assert "raw_events: 90 rows on 2024-03-29, usually 1,014" in said
    assert "interest_graph/accept=true" in said
    assert verdict([]) == (True, False, "as usual")


def test_a_day_that_is_missing_altogether_is_an_empty_one() -> None:
    assert volume_alarms(WEEKS, table="raw_events", day=DAY, config=CONFIG)[0].is_grave


def test_few_days_or_few_rows_say_nothing() -> None:
    young = {DAY - timedelta(days=back): 1000 for back in range(1, CONFIG.min_volume_days)}
    assert volume_alarms({**young, DAY: 1}, table="raw_events", day=DAY, config=CONFIG) == []
    small = dict.fromkeys(WEEKS, 20)
    assert volume_alarms({**small, DAY: 0}, table="raw_events", day=DAY, config=CONFIG) == []


def test_days_after_and_long_before_are_no_yardstick() -> None:
    elsewhere = {DAY + timedelta(days=ahead): 10**6 for ahead in range(1, 20)} | {DAY - timedelta(days=99): 10**6}
    assert volume_alarms({**WEEKS, **elsewhere, DAY: 1000}, table="raw_events", day=DAY, config=CONFIG) == []


def test_a_column_that_turns_null_is_named() -> None:
    usual = {known: {"value": 0.1, "text": 0.9} for known in WEEKS}
    alarms = null_alarms({**usual, DAY: {"value": 0.95, "text": 0.9}}, table="raw_events", day=DAY, config=CONFIG)
    assert [str(alarm) for alarm in alarms] == ["raw_events: column value is null in 95% of the rows of 2024-03-29, usually in 10%"]
    assert alarms[0].is_grave
    mild = null_alarms({**usual, DAY: {"value": 0.35, "text": 0.9}}, table="raw_events", day=DAY, config=CONFIG)
    assert [alarm.is_grave for alarm in mild] == [False]


def test_null_shares_of_a_table() -> None:
    assert null_shares(pa.table({"a": [1, None], "b": ["x", "y"]})) == {"a": 0.5, "b": 0.0}
    assert null_shares(pa.table({"a": pa.array([], pa.int64())})) == {}


def test_unknown_event_types_are_counted_by_type() -> None:
    reasons = ["event type 'wish' has no weight"] * 3 + ["event type '收藏' has no weight"]
    (alarm,) = event_type_alarms(reasons, num_events=996, config=CONFIG)
    assert "0.4% of the day's events" in alarm.what
    assert "event type 'wish' has no weight (3 events), event type '收藏' has no weight (1 events)" in alarm.what
    assert not alarm.is_grave
    assert event_type_alarms(reasons, num_events=10, config=CONFIG)[0].is_grave
    assert event_type_alarms(reasons, num_events=100_000, config=CONFIG) == []
    assert event_type_alarms([], num_events=0, config=CONFIG) == []

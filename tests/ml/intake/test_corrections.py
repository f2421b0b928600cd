"""Late, duplicate and corrected events: of all deliveries of an event exactly one counts, and always the newest."""

import os
from datetime import date
from itertools import permutations

import pytest

from ml.contracts.behaviour import RAW_EVENTS

DAYS = [date(2024, 6, 28), date(2024, 6, 29), date(2024, 6, 30)]
HEADER = "id,user,item,type,ts,value,words\n"


@pytest.fixture
def shop(shop):
    """A shop whose events have ids, in files that are delivered one after another."""
    shop.settings["tables"]["events"] = [
        {"path": "events/*.csv", "columns": {**shop.events["columns"], "event_id": "id"}},
    ]
    return shop


def deliver(shop, name, *lines, second):
    """A file of events, written that many seconds after the first."""
    path = shop.csv(*lines, name=f"events/{name}.csv", header=HEADER)
    os.utime(path, ns=(0, (1_700_000_000 + second) * 10**9))


def counting(shop):
    """(day, event_id, user, value, file, row) of the deliveries that count, by day."""
    found = []
    for day in DAYS:
        rows = shop.store.read(RAW_EVENTS, day=day).to_pylist()
        names = ("event_id", "user_id", "value", "source_file", "source_row")
        found += [(day.day, *(row[name] for name in names)) for row in rows if not row["is_superseded"]]
    return sorted(found)


def test_a_correction_of_the_same_day(shop):
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28 10:00,3,", second=0)
    deliver(shop, "b", "7,u1,i1,rating,2024-06-28 10:00,5,", second=1)
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 5.0, "events/b.csv", 1)]
    assert shop.table("raw_events").num_rows == 2


@pytest.mark.parametrize(("before", "after"), [("2024-06-28", "2024-06-30"), ("2024-06-30", "2024-06-28"), ("2024-06-29", "2020-01-01")])
def test_a_correction_that_moves_to_another_day_leaves_the_old_one(shop, before, after):
    deliver(shop, "a", f"7,u1,i1,rating,{before},3,", f"8,u1,i1,view,{before},,", second=0)
    deliver(shop, "b", f"7,u1,i2,rating,{after},5,", second=1)
    shop.ingest()
    moved_to, stays_on = max(date.fromisoformat(after), DAYS[0]).day, date.fromisoformat(before).day
    assert counting(shop) == sorted(
        [(moved_to, "7", "u1", 5.0, "events/b.csv", 1), (stays_on, "8", "u1", None, "events/a.csv", 2)],
    )
    assert shop.table("raw_events").num_rows == 3


def test_a_correction_whose_file_name_sorts_before_the_originals(shop):
    deliver(shop, "z", "7,u1,i1,rating,2024-06-28,3,", second=0)
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,5,", second=1)
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 5.0, "events/a.csv", 1)]


def test_within_one_second_the_name_decides(shop):
    deliver(shop, "b", "7,u1,i1,rating,2024-06-29,2,", second=0)
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,1,", second=0)
    shop.ingest()
    assert counting(shop) == [(29, "7", "u1", 2.0, "events/b.csv", 1)]


def test_fractions_of_a_second_do_not_count(shop):
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,1,", second=0)
    deliver(shop, "b", "7,u1,i1,rating,2024-06-28,2,", second=0)
    os.utime(shop.folder / "events/a.csv", ns=(0, 1_700_000_000 * 10**9 + 999_999_999))
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 2.0, "events/b.csv", 1)]


def test_the_tenth_row_is_newer_than_the_ninth(shop):
    deliver(shop, "a", *(f"7,u1,i1,rating,2024-06-28,{row},late" for row in range(1, 11)), second=0)
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 10.0, "events/a.csv", 10)]


def test_an_exact_duplicate_in_another_file_counts_once_without_any_id(shop):
    del shop.events["columns"]["event_id"]
    deliver(shop, "a", "1,u1,i1,rating,2024-06-28,3,", "2,u1,i2,rating,2024-06-28,3,", second=0)
    deliver(shop, "b", "3,u1,i1,rating,2024-06-28,3,", second=1)
    shop.ingest()
    assert sorted(row[3:] for row in counting(shop)) == [(3.0, "events/a.csv", 2), (3.0, "events/b.csv", 1)]
    assert len({row[1] for row in counting(shop)}) == 2


def test_chinese_ids(shop):
    deliver(shop, "甲", "评论一,用户,商品,rating,2024-06-28,3,一般", second=1)
    deliver(shop, "乙", "评论一,用户,商品,rating,2024-06-29,5,很好", "评论二,用户,商品,rating,2024-06-29,4,", second=2)
    shop.ingest()
    assert counting(shop) == [(29, "评论一", "用户", 5.0, "events/乙.csv", 1), (29, "评论二", "用户", 4.0, "events/乙.csv", 2)]


def test_a_row_kept_out_corrects_nothing(shop):
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,3,", second=0)
    deliver(shop, "b", "7,u1,i1,rating,2024-06-28,five,", "7,u1,i1,rating,2031-01-01,5,", second=1)
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 3.0, "events/a.csv", 1)]


def test_two_users_with_one_id_are_two_events_each_with_its_own_corrections(shop):
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,1,", "7,u2,i1,rating,2024-06-28,2,", "8,u1,i1,rating,2024-06-28,3,", second=0)
    deliver(shop, "b", "7,u1,i1,rating,2024-06-28,4,", second=1)
    shop.ingest()
    assert sorted(row[1:4] for row in counting(shop)) == [("7", "u1", 4.0), ("7", "u2", 2.0), ("8", "u1", 3.0)]


def test_what_another_user_calls_an_event_later_leaves_an_earlier_day_as_it_was(shop):
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,1,", second=0)
    shop.ingest()
    before = {path: path.read_bytes() for path in shop.store.root.rglob("2024-06-28.*")}
    deliver(shop, "b", "7,u2,i1,rating,2024-06-29,2,", second=1)
    shop.ingest()
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(row[1:4] for row in counting(shop)) == [("7", "u1", 1.0), ("7", "u2", 2.0)]


def test_validate_names_ids_that_users_share(shop):
    deliver(shop, "a", "7,u1,i1,view,2024-06-28,,", "7,u2,i1,view,2024-06-28,,", "x,u1,i1,rating,2024-06-29,4,", second=0)
    hint = next(hint for hint in shop.validate().hints if "event_id" in hint.where)
    assert "1 event_id(s) are given to more than one user, e.g. '7'" in hint.what
    assert "unique in the dataset" in hint.mend


def test_of_two_sources_over_one_file_the_later_counts(shop):
    shop.settings["tables"]["events"].append(
        {"path": "events/a.csv", "columns": {**shop.events["columns"], "event_id": "id", "value": "9"}}
    )
    deliver(shop, "a", "7,u1,i1,rating,2024-06-28,1,", second=0)
    shop.ingest()
    assert counting(shop) == [(28, "7", "u1", 9.0, "events/a.csv", 1)]


def test_the_order_of_building_days_does_not_matter(shop):
    deliver(shop, "a", *(f"{k},u{k % 2},i1,rating,2024-06-{28 + k % 3},1," for k in range(6)), second=0)
    deliver(shop, "b", *(f"{k},u{k % 2},i1,rating,2024-06-{28 + (k + 1) % 3},2," for k in range(4)), second=1)
    shop.ingest()
    together = {path: path.read_bytes() for path in shop.store.root.rglob("*.parquet")}
    for days in permutations(DAYS):
        for day in days:
            shop.ingest(day)
        assert {path: path.read_bytes() for path in shop.store.root.rglob("*.parquet")} == together
    assert len(counting(shop)) == 6

"""A day is written when its rows changed and not otherwise; what landed is told by day, with the digest its manifest holds."""

import os
from datetime import date, timedelta

import pyarrow.compute as pc
import pytest

from ml.contracts.behaviour import RAW_EVENTS, RAW_TABLES
from ml.errors import DatasetError
from ml.ids import UserIdBorder
from ml.intake.ingest import EMPTY_DIGEST, ingest, landed_days

DAYS = [date(2024, 6, 28), date(2024, 6, 29), date(2024, 6, 30)]


@pytest.fixture
def shop(shop):
    """A shop with events of the first and the last day, which writes only what changed."""
    shop.settings["tables"]["events"][0]["path"] = "events/*.csv"
    shop.settings["tables"]["items"] = [{"path": "items.csv", "columns": {"item_id": "id", "created_at": "made"}}]
    shop.csv("u1,i1,rating,2024-06-28,4,好", "u2,i1,view,2024-06-30 01:00:00,,", name="events/a.csv")
    shop.csv("i1,", "i2,2024-06-29", name="items.csv", header="id,made\n")
    shop.landed = shop.folder / "landed"
    shop.recompute = False
    return shop


def landed(shop):
    return landed_days(shop.load(), config=shop.config, now=shop.now, landed=shop.landed)


def noted(shop, day, name="raw_events"):
    return shop.store.manifest(name, day=day).recipe.inputs["landing"]


def test_the_first_time_every_day_is_written_and_then_none(shop):
    assert shop.ingest().written == tuple(DAYS)
    before = shop.written()
    report = shop.ingest()
    assert report.written == ()
    assert report.days == tuple(DAYS)
    assert report.num_rows == {"raw_events": 2, "raw_items": 5, "raw_users": 0, "raw_knowledge": 0, "quarantined_rows": 0}
    assert shop.written() == before


def test_a_late_event_writes_its_day_alone(shop):
    shop.ingest()
    before = shop.written()
    shop.csv("u3,i1,view,2024-06-29,,", name="events/b.csv")
    assert shop.ingest().written == (DAYS[1],)
    changed = {name for name, content in shop.written().items() if before[name] != content}
    assert changed == {"raw_events/2024-06-29.parquet", "raw_events/2024-06-29.json"}


def test_a_correction_that_moves_writes_both_days(shop):
    shop.events["columns"]["event_id"] = "words"
    shop.ingest()
    shop.csv("u1,i1,rating,2024-06-29,5,好", name="events/b.csv")
    assert shop.ingest().written == (DAYS[0], DAYS[1])


def test_a_new_item_writes_every_day_that_knows_it(shop):
    shop.ingest()
    shop.csv("i1,", "i2,2024-06-29", "i3,2024-06-30 10:00:00", name="items.csv", header="id,made\n")
    assert shop.ingest().written == (DAYS[2],)


def test_what_changed_is_what_a_full_ingestion_writes(shop):
    shop.events["columns"]["event_id"] = "words"
    shop.ingest()
    shop.csv("u1,i2,rating,2024-06-29,5,好", ",,,,,", "u2,i1,view,2024-06-28,,x", name="events/b.csv")
    shop.csv("i1,2024-06-29", "i2,2024-06-28", name="items.csv", header="id,made\n")
    shop.ingest()
    written = shop.written()
    shop.tables = "afresh"
    shop.ingest()
    assert shop.written() == written


def test_a_partition_that_is_torn_is_written_again(shop):
    shop.ingest()
    whole = shop.written()
    shop.store.path("raw_events", DAYS[0]).write_bytes(b"PAR1")
    shop.store.manifest_path("raw_items", DAYS[2]).unlink()
    assert shop.ingest().written == (DAYS[0], DAYS[2])
    assert shop.written() == whole


def test_other_code_or_recompute_write_every_day(shop):
    given = {"days": DAYS, "store": shop.store, "border": UserIdBorder("shop"), "config": shop.config, "now": shop.now, "landed": None}
    ingest(shop.load(), code_version="1", **given)
    assert ingest(shop.load(), code_version="1", **given).written == ()
    assert ingest(shop.load(), code_version="2", **given).written == tuple(DAYS)
    assert ingest(shop.load(), code_version="2", recompute=True, **given).written == tuple(DAYS)
    assert shop.store.manifest("raw_items", day=DAYS[0]).recipe.code_version == "2"


def test_nothing_is_written_while_a_file_is_torn(shop):
    shop.ingest()
    before = shop.written()
    shop.csv("u3,i1,view,2024-06-29,,", name="events/b.csv")
    shop.file("events/c.csv", b"")
    with pytest.raises(DatasetError, match="is empty"):
        shop.ingest()
    assert shop.written() == before


def test_what_landed_is_told_by_day_with_the_digest_of_its_manifest(shop):
    shop.events["columns"]["event_id"] = "words"
    shop.csv("u1,i1,rating,2024-06-28,5,好", "u1,i1,view,2019-01-01,,旧", ",,,,,", name="events/b.csv")
    os.utime(shop.folder / "events/a.csv", (0, 1))
    shop.ingest()
    found = landed(shop).to_pylist()
    assert [(row["day"], row["num_events"], row["num_superseded"]) for row in found] == [(DAYS[0], 3, 1), (DAYS[2], 1, 0)]
    assert [row["digest"] for row in found] == [noted(shop, DAYS[0]), noted(shop, DAYS[2])]
    for row in found:
        table = shop.store.read(RAW_EVENTS, day=row["day"])
        assert (table.num_rows, pc.sum(table.column("is_superseded")).as_py()) == (row["num_events"], row["num_superseded"])


def test_a_day_without_events_has_the_empty_digest(shop):
    shop.ingest()
    assert noted(shop, DAYS[1]) == EMPTY_DIGEST
    assert noted(shop, DAYS[0], "raw_users") == EMPTY_DIGEST
    assert noted(shop, DAYS[0]) != EMPTY_DIGEST


def test_a_day_that_becomes_empty_is_written_empty_and_no_longer_told(shop):
    shop.events["columns"]["event_id"] = "coalesce(words, 'none')"
    shop.ingest()
    (shop.folder / "events/a.csv").unlink()
    shop.csv("u1,i1,rating,2024-06-29,5,好", name="events/b.csv")
    assert landed(shop).column("day").to_pylist() == [DAYS[1]]
    assert shop.ingest().written == tuple(DAYS)
    assert noted(shop, DAYS[0]) == EMPTY_DIGEST


def test_without_events_nothing_is_told(shop):
    shop.csv(name="events/a.csv")
    assert landed(shop).num_rows == 0
    assert landed(shop).column_names == ["day", "num_events", "num_superseded", "digest"]


def test_every_column_of_a_row_and_its_repeats_are_in_the_digest(shop):
    line = ["u1", "i1", "rating", "2024-06-28 10:00:00", "4", "nice"]
    changes = ["u2", "i2", "view", "2024-06-28 10:00:01", "4.000001", "nice "]
    contents = [[line], [line, line], *([[*line[:place], other, *line[place + 1 :]]] for place, other in enumerate(changes))]
    found = []
    for rows in contents:
        shop.csv(*(",".join(row) for row in rows), name="events/a.csv")
        found += landed(shop).column("digest").to_pylist()
    assert len(set(found)) == len(contents)


def test_neither_the_order_of_days_nor_a_time_zone_nor_threads_change_a_digest(shop):
    shop.ingest()
    first = {(contract.name, day): noted(shop, day, contract.name) for contract in RAW_TABLES for day in DAYS}
    shop.tables = "other"
    shop.config = shop.config.model_copy(update={"threads": 2})
    shop.now += timedelta(hours=1)
    for day in reversed(DAYS):
        shop.ingest(day)
    assert {(contract.name, day): noted(shop, day, contract.name) for contract in RAW_TABLES for day in DAYS} == first


def test_a_border_that_changes_ids_changes_digests(shop):
    class Backwards(UserIdBorder):
        def inward(self, user_id: str) -> str:
            return user_id[::-1]

    shop.ingest(border=Backwards("shop"))
    own = landed_days(shop.load(), config=shop.config, now=shop.now, landed=None, border=Backwards("shop"))
    assert own.column("digest")[0].as_py() == noted(shop, DAYS[0]) != landed(shop).column("digest")[0].as_py()

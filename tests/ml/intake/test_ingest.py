"""Landing files to one Parquet file a day: which row is in which partition, and the same bytes again."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ml.contracts import CONTRACTS
from ml.contracts.behaviour import RAW_TABLES
from ml.errors import ConfigError, DatasetError
from ml.ids import UserIdBorder
from ml.intake.ingest import EventDays, event_days

START = date(2024, 6, 28)
DAYS = [START, date(2024, 6, 29), date(2024, 6, 30)]


def users_of(shop, day):
    return shop.store.read(CONTRACTS["raw_events"], day=day).column("user_id").to_pylist()


def test_an_event_lies_in_its_utc_day_and_history_in_the_first(shop):
    shop.settings["timezone"] = "Asia/Shanghai"
    shop.csv(
        "old,i1,view,2019-01-01 00:00:00,,",
        "start,i1,view,2024-06-29 07:59:59,,",
        "second,i1,view,2024-06-29 08:00:00,,",
        "third,i1,view,2024-06-30T00:00:00Z,,",
        "last,i1,view,2024-06-29T23:59:59.999999Z,,",
    )
    report = shop.ingest()
    assert [users_of(shop, day) for day in DAYS] == [["old", "start"], ["second", "last"], ["third"]]
    assert report.num_rows["raw_events"] == 5
    assert report.days == tuple(DAYS)


def test_an_empty_day_is_an_empty_partition(shop):
    shop.csv("u1,i1,view,2024-06-28,,", "u1,i1,view,2024-06-30,,")
    shop.ingest()
    for contract in RAW_TABLES:
        assert shop.store.days(contract.name) == DAYS
    assert [len(users_of(shop, day)) for day in DAYS] == [1, 0, 1]


def test_each_day_alone_is_all_days_together(shop):
    shop.csv(*(f"u{k},i{k % 3},view,2024-06-{24 + k % 7} 10:00:00,," for k in range(40)), "u1,,view,2024-06-29,,", "broken")
    shop.csv("i1,2024-06-29", "i2,", name="items.csv", header="id,made\n")
    shop.settings["tables"]["items"] = [{"path": "items.csv", "columns": {"item_id": "id", "created_at": "made"}}]
    shop.ingest(*DAYS)
    together = {path: path.read_bytes() for path in sorted(shop.store.root.rglob("*.parquet"))}
    for day in reversed(DAYS):
        shop.ingest(day)
    assert {path: path.read_bytes() for path in sorted(shop.store.root.rglob("*.parquet"))} == together


def test_items_are_known_from_the_day_they_appear(shop):
    shop.csv("u1,i1,view,2024-06-28,,")
    shop.csv("i1,", "i2,2024-06-29 23:59:59", "i3,2024-06-30 00:00:00", "i4,2030-01-01", name="items.csv", header="id,made\n")
    shop.settings["tables"]["items"] = [{"path": "items.csv", "columns": {"item_id": "id", "created_at": "made"}}]
    shop.ingest()
    known = [shop.store.read(CONTRACTS["raw_items"], day=day).column("item_id").to_pylist() for day in DAYS]
    assert known == [["i1"], ["i1", "i2"], ["i1", "i2", "i3"]]


def test_a_kept_out_event_shows_from_its_day_on(shop):
    shop.csv("u1,i1,cart,2024-06-29,,", "u2,i1,view,soon,,", "u3,i1,view,2031-01-01,,", "u4,i1,cart,2019-01-01,,")
    shop.ingest()
    rows = [shop.store.read(CONTRACTS["quarantined_rows"], day=day).column("source_row").to_pylist() for day in DAYS]
    assert rows == [[2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]


def test_duplicates_stay_and_share_an_id(shop):
    line = "u1,i1,rating,2024-06-28,4,nice"
    shop.csv(line, line, "u1,i1,rating,2024-06-28,5,nice", "u1,i1,rating,2024-06-28,4.0,nice")
    shop.csv(line, name="events2.csv")
    shop.events["path"] = "events*.csv"
    shop.ingest()
    ids = dict(zip(*(shop.table("raw_events").column(name).to_pylist() for name in ("source_row", "event_id")), strict=True))
    assert shop.table("raw_events").num_rows == 5
    assert len(set(shop.table("raw_events").column("event_id").to_pylist())) == 2
    assert ids[1] == ids[2] == ids[4] != ids[3]
    assert shop.reasons() == []


def test_fields_do_not_run_into_each_other_in_the_id(shop):
    shop.csv("a,bc,view,2024-06-28,,", "ab,c,view,2024-06-28,,", "ab,,view,2024-06-28,,c")
    shop.ingest()
    assert len(set(shop.rows("raw_events", "event_id"))) == 3


def test_every_field_of_an_event_is_in_its_id(shop):
    line = ["u1", "i1", "rating", "2024-06-28 10:00:00", "4", "nice"]
    changes = ["u2", "i2", "view", "2024-06-28 10:00:00.000001", "5", "good"]
    shop.csv(",".join(line), *(",".join([*line[:place], other, *line[place + 1 :]]) for place, other in enumerate(changes)))
    shop.ingest()
    assert len(set(shop.rows("raw_events", "event_id"))) == 7


def test_given_event_and_session_ids_are_kept(shop):
    shop.events["columns"].update(event_id="nullif(value, '0')", session_id="words")
    shop.csv("u1,i1,view,2024-06-28,7,s1", "u2,i1,view,2024-06-28,0,")
    shop.ingest()
    found = sorted(shop.rows("raw_events", "user_id", "event_id", "session_id"))
    assert found[0] == ("u1", "7", "s1")
    assert len(found[1][1]) == 32
    assert found[1][2] is None


class Backwards(UserIdBorder):
    """A border that shows."""

    def inward(self, user_id: str) -> str:
        return user_id[::-1]


def test_user_ids_cross_the_border_once(shop):
    shop.csv("u12,i1,view,2024-06-28,,", "u12,i2,view,2024-06-29,,", "u34,i1,view,2024-06-28,,")
    shop.csv("u12", "u56", name="users.csv", header="id\n")
    shop.settings["tables"]["users"] = [{"path": "users.csv", "columns": {"user_id": "id"}}]
    shop.ingest(border=Backwards("shop"))
    assert sorted(shop.rows("raw_events", "user_id")) == [("21u",), ("21u",), ("43u",)]
    assert shop.rows("raw_users", "user_id") == [("21u",), ("65u",)]


def test_friends_cross_it_too_and_what_else_has_a_users_id_does_not(shop):
    shop.csv("u12,i1,view,2024-06-28,,")
    shop.csv("u12,Friend, u34", "u12,made_by,acme", name="kg.csv", header="head,relation,tail\n")
    columns = {name: name for name in ("head", "relation", "tail")}
    shop.settings["tables"]["knowledge"] = [{"path": "kg.csv", "columns": columns}]
    shop.ingest(border=Backwards("shop"))
    assert sorted(shop.rows("raw_knowledge", "head", "relation", "tail")) == [("21u", "Friend", "43u"), ("u12", "made_by", "acme")]


def test_the_share_kept_out(shop):
    shop.csv(*["u1,i1,view,2024-06-28,,"] * 3, ",,,,,")
    report = shop.ingest()
    assert (report.num_good, report.num_quarantined, report.quarantined_share) == (3, 1, 0.25)
    shop.csv()
    assert shop.ingest().quarantined_share == 0.0


def test_a_day_before_the_start_is_refused(shop):
    shop.csv()
    with pytest.raises(ValueError, match="2024-06-27"):
        shop.ingest(date(2024, 6, 27))


def test_event_days(shop):
    shop.csv("u1,i1,view,2020-02-03 23:00:00,,", "u1,i1,view,2024-06-29,,", "u1,i1,view,2024-07-29,,", "u1,,view,2019-01-01,,")
    found = event_days(shop.load(), config=shop.config, now=shop.now)
    assert found == EventDays(date(2020, 2, 3), date(2024, 6, 29))


def test_event_days_of_nothing_says_so(shop):
    shop.csv("u1,,view,2024-06-28,,")
    with pytest.raises(DatasetError, match=r"no event keeps the contract; 1 row\(s\) were kept out"):
        event_days(shop.load(), config=shop.config, now=shop.now)


def test_now_may_be_in_any_zone(shop):
    shop.csv("u1,i1,view,2024-06-30 11:59:59,,", "u2,i1,view,2024-06-30 12:00:01,,")
    shop.now = datetime(2024, 6, 30, 12, tzinfo=UTC).astimezone(tz=None) + timedelta(0)
    shop.ingest(DAYS[2])
    assert users_of(shop, DAYS[2]) == ["u1"]


def test_too_little_memory_is_said(shop):
    shop.csv(*(f"u{k},i1,view,2024-06-28,,{'x' * 50}" for k in range(20_000)))
    shop.config = shop.config.model_copy(update={"memory_limit": "1MB"})
    with pytest.raises(ConfigError, match=r"intake\.memory_limit 1MB"):
        shop.ingest()


def test_chinese_one_user_one_item(shop):
    shop.csv("用户,商品,view,2024-06-28,,很好")
    shop.ingest()
    assert shop.rows("raw_events", "user_id", "item_id", "text", "source_file", "source_row") == [("用户", "商品", "很好", "events.csv", 1)]

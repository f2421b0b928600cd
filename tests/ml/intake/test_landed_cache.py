"""Parsed files are kept: the same bytes with and without, no file parsed twice, no verdict that has expired."""

import gzip
import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.errors import DatasetError
from ml.intake.ingest import event_days, landed_days

DAY = date(2024, 6, 28)
LINE = "u1,i1,view,2024-06-28 10:00:00,,"
LOCAL = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shop(shop):
    """A shop whose events lie in csv, jsonl and parquet files, with a catalogue joined to its tags."""
    columns = shop.events["columns"]
    shop.settings["tables"] = {
        "events": [
            {"path": "events/*.csv*", "columns": columns},
            {"path": "lines/*.jsonl", "columns": columns},
            {"path": "whole/*.parquet", "columns": columns},
        ],
        "items": [
            {
                "path": "items.csv",
                "lookups": {"tags": {"path": "tags.csv"}},
                "join": "LEFT JOIN (SELECT id, list(tag ORDER BY tag) AS tags_of FROM tags GROUP BY id) AS t ON t.id = source.id",
                "columns": {"item_id": "source.id", "tags": "tags_of", "created_at": "made"},
            }
        ],
    }
    shop.csv(LINE, "torn", ",i1,view,2024-06-28,,", "用户,商品,rating,2024-06-29,4,很好", name="events/a.csv")
    shop.csv("u2,i1,view,2024-06-30,,", name="events/b.csv")
    lines(shop, "a", {"user": "u3", "item": "i1", "type": "view", "ts": "2024-06-29", "value": None, "words": "hm"}, "{torn")
    lines(shop, "b", {"user": "u4", "item": "i2", "type": "rating", "ts": "2024-06-29", "value": 1})
    parquet(shop, "a", user=["u5", None], item=["i1", "i2"])
    shop.csv("i1,", "i2,2024-06-30", ",", name="items.csv", header="id,made\n")
    shop.csv("i1,b", "i1,a", "torn", name="tags.csv", header="id,tag\n")
    shop.landed = shop.folder / "landed"
    return shop


NUM_FILES = 7


def lines(shop, name, *objects):
    texts = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in objects]
    return shop.file(f"lines/{name}.jsonl", "\n".join(texts))


def parquet(shop, name, **columns):
    num_rows = len(columns["user"])
    rest = {"type": ["view"] * num_rows, "ts": ["2024-06-29"] * num_rows, "value": [None] * num_rows, "words": [None] * num_rows}
    (shop.folder / "whole").mkdir(exist_ok=True)
    pq.write_table(pa.table({**rest, **columns}), shop.folder / f"whole/{name}.parquet")


def parsed(shop):
    """Files parsed and files reused by an ingestion, whose bytes are those of one that keeps nothing."""
    report = shop.ingest()
    kept = shop.written()
    cache, shop.landed, shop.tables = shop.landed, None, "tables without"
    plain = shop.ingest()
    assert shop.written() == kept
    shop.landed, shop.tables = cache, "tables"
    assert (report.num_good, report.num_quarantined, report.num_rows) == (plain.num_good, plain.num_quarantined, plain.num_rows)
    assert plain.num_files_reused == 0
    return report.num_files_parsed, report.num_files_reused


def entries(shop):
    return {path.relative_to(shop.landed): path.read_bytes() for path in shop.landed.rglob("*.parquet")}


def test_a_second_ingestion_parses_nothing(shop):
    assert parsed(shop) == (NUM_FILES, 0)
    before = entries(shop)
    assert parsed(shop) == (0, NUM_FILES)
    assert entries(shop) == before


@pytest.mark.parametrize("kind", ["csv", "gz", "jsonl", "parquet"])
def test_one_new_file_costs_one_parse(shop, kind):
    parsed(shop)
    if kind == "csv":
        shop.csv("u9,i9,view,2024-06-30,,", name="events/aa.csv")
    elif kind == "gz":
        shop.file("events/c.csv.gz", gzip.compress(b"user,item,type,ts,value,words\nu9,i9,view,2024-06-30,,\n"))
    elif kind == "jsonl":
        lines(shop, "aa", {"user": "u9", "item": "i9", "type": "view", "ts": "2024-06-30", "something": {"else": 1}})
    else:
        parquet(shop, "b", user=["u9"], item=["i9"])
    assert parsed(shop) == (1, NUM_FILES)
    assert parsed(shop) == (0, NUM_FILES + 1)


def test_a_changed_file_is_parsed_again_and_a_gone_one_forgotten(shop):
    parsed(shop)
    num_entries = len(entries(shop))
    shop.csv("u2,i1,view,2024-06-30,,", "u3,i1,view,2024-06-30,,", name="events/b.csv")
    assert parsed(shop) == (1, NUM_FILES - 1)
    assert len(entries(shop)) == num_entries
    (shop.folder / "events/b.csv").unlink()
    (shop.folder / "lines/b.jsonl").unlink()
    assert parsed(shop) == (0, NUM_FILES - 2)
    assert len(entries(shop)) == num_entries - 3


def test_a_time_alone_costs_a_parse_and_no_partition(shop):
    parsed(shop)
    shop.recompute = False
    os.utime(shop.folder / "events/b.csv", (0, 1))
    report = shop.ingest()
    assert (report.num_files_parsed, report.written) == (1, ())


def test_a_lookup_that_changes_costs_the_files_joined_with_it(shop):
    parsed(shop)
    shop.csv("i1,c", name="tags.csv", header="id,tag\n")
    assert parsed(shop) == (2, NUM_FILES - 2)
    assert shop.rows("raw_items", "item_id", "tags") == [("i1", ["c"]), ("i2", [])]


@pytest.mark.parametrize(
    ("change", "num_parsed"),
    [
        (lambda shop: shop.events["columns"].update(value="value::DOUBLE * 2"), 5),
        (lambda shop: shop.settings["weights"].update(cart=2), 5),
        (lambda shop: shop.settings.update(timezone="Asia/Shanghai"), NUM_FILES),
        (lambda shop: shop.settings.update(start=date(2024, 6, 27)), 0),
        (lambda shop: shop.settings["tables"]["events"][0].update(where="item <> 'i2'"), 2),
    ],
)
def test_what_decides_the_rows_decides_what_is_parsed(shop, change, num_parsed):
    parsed(shop)
    change(shop)
    assert parsed(shop)[0] == num_parsed


def test_a_key_that_the_mapping_names_changes_the_old_files_too(shop):
    shop.events["columns"]["session_id"] = "visit"
    shop.settings["tables"]["events"] = shop.settings["tables"]["events"][1:2]
    parsed(shop)
    lines(shop, "c", {"user": "u9", "item": "i9", "type": "view", "ts": "2024-06-30", "visit": "s1"})
    assert parsed(shop)[0] == 3


def test_a_key_that_most_files_nest_is_json_in_all(shop):
    shop.settings["tables"]["events"] = shop.settings["tables"]["events"][1:2]
    parsed(shop)
    lines(shop, "c", *({"user": "u9", "item": "i9", "type": "view", "ts": "2024-06-30", "words": ["a", k]} for k in range(3)))
    assert parsed(shop)[0] == 3


def test_a_mapping_that_reads_whole_rows_sees_every_key(shop):
    shop.settings["tables"]["events"] = [
        {**shop.settings["tables"]["events"][1], "columns": {**shop.events["columns"], "text": "source::VARCHAR"}}
    ]
    parsed(shop)
    lines(shop, "c", {"user": "u9", "item": "i9", "type": "view", "ts": "2024-06-30", "something": "else"})
    assert parsed(shop)[0] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"columns": {"item_id": "id", "created_at": "now() - INTERVAL 1 DAY"}},
        {"join": "LEFT JOIN (SELECT id AS other FROM tags GROUP BY id HAVING max(random()) >= 0) AS other_rows ON other = id"},
        {"join": "LEFT JOIN (SELECT 1 AS one FROM 'tags.csv' LIMIT 1) AS other_rows ON true"},
        {"join": "LEFT JOIN (SELECT 1 AS one FROM read_csv('tags.csv') LIMIT 1) AS other_rows ON true"},
    ],
)
def test_what_more_than_the_files_decide_is_never_kept(shop, monkeypatch, change):
    monkeypatch.chdir(shop.folder)
    tags = {"tags": {"path": "tags.csv"}}
    source = {
        "path": "items.csv",
        "columns": {"item_id": "source.id"},
        **change,
        **({"lookups": tags} if "FROM tags" in str(change) else {}),
    }
    shop.settings["tables"]["items"] = [source]
    shop.ingest()
    num_items_files = 1 + len(source.get("lookups", {}))
    report = shop.ingest()
    assert (report.num_files_parsed, report.num_files_reused) == (num_items_files, NUM_FILES - 2)
    assert not (shop.landed / "items").exists()


def test_rows_of_the_future_are_judged_again_when_it_comes(shop):
    shop.csv("u1,i1,view,2024-06-30 11:00:00,,", "u2,i1,view,2024-06-30 13:00:00,,", "u3,i1,view,2031-01-01,,", name="events/b.csv")
    assert parsed(shop) == (NUM_FILES, 0)
    shop.now += timedelta(minutes=59)
    assert parsed(shop) == (0, NUM_FILES)
    assert ("u2",) not in shop.rows("raw_events", "user_id")
    shop.now += timedelta(minutes=1)
    assert parsed(shop) == (1, NUM_FILES - 1)
    assert ("u2",) in shop.rows("raw_events", "user_id")
    shop.now = datetime(2024, 6, 30, 11, tzinfo=UTC) - timedelta(microseconds=1)
    # The parquet and lines files hold older events: what they say holds at that time too.
    assert parsed(shop) == (1, NUM_FILES - 1)
    assert ("u1",) not in [row[:1] for row in shop.rows("raw_events", "user_id", "event_at") if row[1].hour == 11]


def test_torn_and_foreign_entries_are_parsed_again(shop):
    parsed(shop)
    for place, path in enumerate(sorted(shop.landed.rglob("*.parquet"))):
        whole = path.read_bytes()
        path.write_bytes([b"", whole[: len(whole) // 2], b"PAR1" + whole[:40] + b"PAR1", bytes(reversed(whole))][place % 4])
    assert parsed(shop) == (NUM_FILES, 0)
    assert parsed(shop) == (0, NUM_FILES)


def test_an_entry_whose_data_alone_is_torn_is_parsed_again(shop):
    parsed(shop)
    for path in shop.landed.rglob("*.rows.parquet"):
        whole = path.read_bytes()
        path.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    shop.ingest()
    assert parsed(shop) == (0, NUM_FILES)


def test_rejected_rows_that_are_lost_are_parsed_again(shop):
    parsed(shop)
    for path in shop.landed.rglob("*.rejected.parquet"):
        path.unlink()
    assert parsed(shop)[0] > 0


def test_a_torn_file_stops_as_ever_and_is_not_kept(shop):
    parsed(shop)
    before, written = entries(shop), shop.written()
    shop.file("whole/b.parquet", b"PAR1")
    lines(shop, "z", {"user": "u9"})
    shop.file("lines/torn.jsonl.gz", b"no gzip")
    shop.settings["tables"]["events"][1]["path"] = "lines/*.jsonl*"
    with pytest.raises(DatasetError) as raised:
        shop.ingest()
    assert sorted(finding.where for finding in raised.value.findings) == ["lines/torn.jsonl.gz", "whole/b.parquet"]
    assert shop.written() == written
    assert before.items() <= entries(shop).items()


def test_a_required_key_that_is_gone_stops_as_ever(shop):
    shop.settings["tables"]["events"] = shop.settings["tables"]["events"][1:2]
    shop.ingest()
    shutil.rmtree(shop.folder / "lines")
    lines(shop, "a", {"user": "u1", "kind": "view", "ts": "2024-06-28", "item": "i1"})
    with pytest.raises(DatasetError, match="needs column 'type'"):
        shop.ingest()


def test_days_profit_and_leave_the_other_tables_entries_alone(shop):
    parsed(shop)
    before = entries(shop)
    event_days(shop.load(), config=shop.config, now=shop.now, landed=shop.landed)
    landed_days(shop.load(), config=shop.config, now=shop.now, landed=shop.landed)
    assert entries(shop) == before
    assert parsed(shop) == (0, NUM_FILES)


CELLS = st.tuples(
    st.sampled_from(["u1", "", "用户"]),
    st.sampled_from(["i1", 'i"2', ""]),
    st.sampled_from(["view", "rating", "cart"]),
    st.sampled_from(["2024-06-28", "2024-06-30T11:00:00Z", "2024-06-30T12:30:00Z", "soon"]),
    st.sampled_from(["", "4", "nan"]),
    st.sampled_from(["", "很 好", "{}", "[1]"]),
)
NAMES = ("user", "item", "type", "ts", "value", "words")
STEPS = st.tuples(
    st.sampled_from(["csv", "jsonl"]),
    st.sampled_from("abc"),
    st.lists(CELLS, max_size=3),
    st.sampled_from([{}, {"more": [1]}, {"Words": "x"}]),
)


@LOCAL
@given(st.lists(st.tuples(STEPS, st.integers(0, 90)), min_size=1, max_size=4))
def test_whatever_arrives_the_bytes_are_those_of_reading_everything(shop, steps):
    shop.settings["tables"]["items"] = []
    shop.settings["start"] = DAY
    for number, ((kind, name, rows, more), minutes) in enumerate(steps):
        shop.now = datetime(2024, 6, 30, 12, tzinfo=UTC) + timedelta(minutes=minutes)
        if kind == "csv":
            path = shop.csv(
                *(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows), name=f"events/{name}.csv"
            )
        else:
            path = lines(shop, name, *({**dict(zip(NAMES, row, strict=True)), **more} for row in rows))
        os.utime(path, ns=(0, number * 10**9))
        parsed(shop)

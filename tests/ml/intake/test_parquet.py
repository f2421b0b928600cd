"""Parquet: torn files stop everything by name, odd types and odd bytes do not."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import DatasetError

AT = datetime(2024, 6, 2, 10, tzinfo=UTC)


@pytest.fixture
def parquet(shop):
    shop.events["path"] = "events*.parquet"
    return shop


def events(count, **columns):
    base = {
        "user": [f"u{k}" for k in range(count)],
        "item": ["i1"] * count,
        "type": ["view"] * count,
        "ts": pa.array([AT] * count, pa.timestamp("us", tz="UTC")),
        "value": pa.nulls(count, pa.float64()),
        "words": pa.nulls(count, pa.string()),
    }
    return pa.table({**base, **columns})


def write(shop, name, table, **options):
    pq.write_table(table, shop.folder / name, **options)
    return shop.folder / name


@pytest.mark.parametrize("kind", ["half", "empty", "page"])
def test_a_torn_file_is_named_and_nothing_is_written(parquet, kind):
    write(parquet, "events1.parquet", events(3))
    torn = write(
        parquet, "events2.parquet", events(5000, words=[f"{k * 7919:x}" for k in range(5000)]), compression="zstd", use_dictionary=False
    )
    content = torn.read_bytes()
    middle = len(content) // 2
    torn.write_bytes({"half": content[:middle], "empty": b"", "page": content[:200] + bytes(middle) + content[200 + middle :]}[kind])
    parquet.settings["tables"]["items"] = [{"path": "missing.csv", "columns": {"item_id": "id"}}]
    report = parquet.validate()
    assert [finding.where for finding in report.blocking] == ["events2.parquet", "missing.csv"]
    assert "cannot be read" in report.blocking[0].what
    assert "footer" in report.blocking[0].mend
    assert report.num_rows["events"] == 3
    with pytest.raises(DatasetError, match=r"(?s)2 problem.*events2\.parquet.*missing\.csv"):
        parquet.ingest()
    assert not parquet.store.root.exists()


@pytest.mark.parametrize(
    "dtype", [pa.timestamp("ns"), pa.timestamp("ns", tz="UTC"), pa.timestamp("ms", tz="Asia/Shanghai"), pa.timestamp("s"), pa.date32()]
)
def test_every_timestamp_type_becomes_utc_microseconds(parquet, dtype):
    moment = AT if dtype != pa.date32() else AT.date()
    value = moment.replace(tzinfo=None) if pa.types.is_timestamp(dtype) and dtype.tz is None else moment
    write(parquet, "events.parquet", events(1, ts=pa.array([value], dtype)))
    parquet.ingest()
    (found,) = parquet.table("raw_events").column("event_at").to_pylist()
    assert found == (AT if dtype != pa.date32() else AT.replace(hour=0))


def test_text_that_is_no_utf8_costs_its_row_alone(parquet):
    raw = pa.array([b"fine", b"caf\xe9", None, "中文".encode()])
    words = pa.Array.from_buffers(pa.string(), 4, raw.buffers())
    write(parquet, "events.parquet", events(4, words=words))
    parquet.ingest()
    found = sorted(parquet.rows("raw_events", "user_id", "text", "source_row"))
    assert found == [("u0", "fine", 1), ("u2", None, 3), ("u3", "中文", 4)]
    assert parquet.reasons() == [("events.parquet", 2, "line", "holds bytes that are not of the file's encoding")]
    assert json.loads(parquet.rows("quarantined_rows", "row_json")[0][0])["words"] == "caf\ufffd"


def test_a_kept_out_row_of_any_types_is_json(parquet):
    odd = {
        "user": pa.nulls(1, pa.string()),
        "nan": [float("nan")],
        "bytes": [b"\x00\xff"],
        "nested": [{"a": [1.5, float("inf")]}],
        "decimal": pa.array(["1.5"]).cast(pa.decimal128(5, 2)),
        "none": pa.nulls(1),
        "category": pa.array(["x"]).dictionary_encode(),
    }
    write(parquet, "events.parquet", events(1, **odd))
    parquet.ingest()
    (text,) = (text for (text,) in parquet.rows("quarantined_rows", "row_json"))
    assert "Infinity" in json.loads(text, parse_constant=pytest.fail)["line"]


def test_files_without_rows(parquet):
    write(parquet, "events.parquet", events(0))
    report = parquet.validate()
    assert report.findings == ()
    assert report.num_rows["events"] == 0


def test_an_address_is_read_where_it_is(parquet):
    """file:// stands in for s3://: neither is touched before DuckDB opens it."""
    path = write(parquet, "events.parquet", events(2))
    parquet.events["path"] = f"file://{path}"
    parquet.ingest()
    assert parquet.rows("raw_events", "source_file", "source_row") == [(f"file://{path}", 1), (f"file://{path}", 2)]


def test_an_address_that_cannot_be_reached_is_a_finding(parquet):
    parquet.events["path"] = "s3://nowhere/events.parquet"
    (finding,) = parquet.validate().blocking
    assert finding.where == "s3://nowhere/events.parquet"
    assert "httpfs" in finding.mend

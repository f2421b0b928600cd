"""The promise of the input contract, over arbitrary files: rows in = raw rows + rows kept out."""

import csv
import io
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.ids import UserIdBorder
from ml.intake.ingest import ingest
from ml.intake.validate import validate

TEXT = st.text(alphabet=st.sampled_from("aé中 ,;\"'\\\n\t{}[]:"), max_size=8)
FIELDS = st.tuples(
    st.sampled_from(["u1", "u2", "", " ", "用户"]),
    st.sampled_from(["i1", "", "i,2", 'i"3']),
    st.sampled_from(["view", "rating", "cart", ""]),
    st.sampled_from(["2024-06-28", "2024-06-29T10:00:00Z", "2030-01-01", "soon", "", "0001-01-01"]),
    st.sampled_from(["", "4", "nan", "x", "1e400"]),
    TEXT,
)
# Lines no csv writer makes: too short, too long, undecodable. None holds a quote, which may take its neighbours for a value.
BROKEN = st.sampled_from([b"torn", b"a,b,c,d,e,f,g,h", b"u1,i1,view,2024-06-28,,caf\xe9", b"\xff\xfe"])
LOCAL = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(row, *, quoting=csv.QUOTE_MINIMAL):
    target = io.StringIO()
    csv.writer(target, lineterminator="\n", quoting=quoting).writerow(row)
    return target.getvalue().removesuffix("\n").encode()


def ingest_all(shop):
    dataset = shop.load()
    return ingest(dataset, days=[shop.now.date()], store=shop.store, border=UserIdBorder("shop"), config=shop.config, now=shop.now)


def check(shop, num_rows):
    """Every row is good or kept out, never both, never neither; what is kept out is JSON with reason and mend."""
    shop.settings["start"] = shop.now.date()
    report = ingest_all(shop)
    good = shop.rows("raw_events", "source_file", "source_row")
    kept_out = set(shop.rows("quarantined_rows", "source_file", "source_row"))
    assert sorted([*good, *kept_out]) == [("events.csv", number) for number in range(1, num_rows + 1)]
    assert (report.num_good, report.num_quarantined) == (len(good), len(kept_out))
    for reason, mend, text in shop.rows("quarantined_rows", "reason", "mend", "row_json"):
        assert reason
        assert mend
        assert isinstance(json.loads(text), dict)
    found = validate(shop.load(), config=shop.config, now=shop.now)
    assert (found.num_rows["events"], found.num_quarantined["events"]) == (len(good), len(kept_out))


@LOCAL
@given(st.lists(FIELDS, max_size=12), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_well_formed_files(shop, rows, quoting):
    shop.file("events.csv", b"\n".join([b"user,item,type,ts,value,words", *(written(row, quoting=quoting) for row in rows), b""]))
    check(shop, len(rows))


@LOCAL
@given(st.lists(st.one_of(FIELDS.map(written), BROKEN), max_size=12))
def test_files_with_broken_lines(shop, lines):
    shop.file("events.csv", b"\n".join([b"user,item,type,ts,value,words", *lines, b""]))
    check(shop, len(lines))


GOOD = [written((f"g{k}", "i1", "view", "2024-06-28", "", "fine, 中文")) for k in range(4)]


@LOCAL
@given(st.binary(max_size=30).filter(lambda line: b'"' not in line and line.strip(b" \t\x0b\x0c\r\n\x1c\x1d\x1e\x1f")), st.integers(0, 4))
def test_no_good_row_is_lost_to_any_line_of_bytes(shop, noise, place):
    noise = noise.replace(b"\n", b" ").replace(b"\r", b" ")
    shop.file("events.csv", b"\n".join([b"user,item,type,ts,value,words", *GOOD[:place], noise, *GOOD[place:], b""]))
    shop.settings["start"] = shop.now.date()
    ingest_all(shop)
    assert sorted(user for user, text in shop.rows("raw_events", "user_id", "text") if text == "fine, 中文") == ["g0", "g1", "g2", "g3"]


@LOCAL
@given(st.lists(st.one_of(FIELDS, st.just(None)), max_size=12))
def test_json_lines(shop, rows):
    objects = [
        "{broken" if row is None else json.dumps(dict(zip(("user", "item", "type", "ts", "value", "words"), row, strict=True)))
        for row in rows
    ]
    shop.file("events.jsonl", "\n".join(objects))
    shop.events["path"] = "events.jsonl"
    shop.settings["start"] = shop.now.date()
    # A key that no row has is the whole file's fault, so one row always has them all.
    shop.file("events.jsonl", "\n".join([*objects, json.dumps(dict.fromkeys(("user", "item", "type", "ts", "value", "words"), "x"))]))
    report = ingest_all(shop)
    places = [*shop.rows("raw_events", "source_row"), *set(shop.rows("quarantined_rows", "source_row"))]
    assert sorted(places) == [(number,) for number in range(1, len(rows) + 2)]
    assert report.num_good + report.num_quarantined == len(rows) + 1

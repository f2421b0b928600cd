"""JSON: one object a line or one array, every scalar as text, a bad line costs itself."""

import gzip
import json

import pytest

COLUMNS = {"user_id": "user", "item_id": "item", "event_type": "type", "event_at": "to_timestamp(ts::DOUBLE)", "value": "rating"}
TS = 1_717_300_000


@pytest.fixture
def jsonl(shop):
    shop.events.update({"path": "events*.jsonl", "columns": dict(COLUMNS)})
    return shop


def event(user, **more):
    return {"user": user, "item": "i1", "type": "rating", "ts": TS, "rating": 4, **more}


def lines(*objects):
    return "".join(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False) + "\n" for found in objects)


def test_one_odd_row_changes_no_other(jsonl):
    """A rating that is a list, an id that is a number, a time that is a word: types are never guessed from them."""
    jsonl.file("events.jsonl", lines(event("u1"), event(2), event("u3", rating=[4]), event("u4", ts="soon"), event("u5", rating="4.5")))
    jsonl.ingest()
    assert sorted(jsonl.rows("raw_events", "user_id", "value")) == [("2", 4.0), ("u1", 4.0), ("u5", 4.5)]
    assert jsonl.reasons() == [
        ("events.jsonl", 3, "value", "value is not a number"),
        ("events.jsonl", 4, "event_at", "event_at is not a readable time"),
    ]


def test_lines_that_are_no_object_are_kept_as_text(jsonl):
    jsonl.file("events.jsonl", lines(event("u1"), '{"user": "u2", "it\n', "\n", "[1, 2]\n", "null\n", '"text"\n', event("u3")).rstrip("\n"))
    jsonl.ingest()
    assert sorted(jsonl.rows("raw_events", "user_id")) == [("u1",), ("u3",)]
    assert [reason[1:] for reason in jsonl.reasons()] == [(row, "line", "is not a JSON object") for row in (2, 4, 5, 6)]
    assert jsonl.rows("quarantined_rows", "row_json")[0] == ('{"line":"{\\"user\\": \\"u2\\", \\"it"}',)


def test_invalid_utf8_costs_its_line_alone(jsonl):
    content = lines(event("u1", words="中文")).encode() + b'{"user": "caf\xe9"}\n' + lines(event("u3")).encode()
    jsonl.file("events.jsonl", content)
    jsonl.ingest()
    assert sorted(jsonl.rows("raw_events", "user_id")) == [("u1",), ("u3",)]
    assert jsonl.reasons() == [("events.jsonl", 2, "line", "holds bytes that are not of the file's encoding")]
    assert json.loads(jsonl.rows("quarantined_rows", "row_json")[0][0]) == {"line": '{"user": "caf\ufffd"}'}


def test_rows_that_break_the_contract_are_kept_as_they_stand(jsonl):
    jsonl.file(
        "events.jsonl", lines(event(None, extra={"中": [1]}), '{"user": "", "item": "i", "type": "rating", "ts": 1, "rating": NaN}\n')
    )
    jsonl.ingest()
    first, *others = [json.loads(text, parse_constant=pytest.fail) for (text,) in jsonl.rows("quarantined_rows", "row_json")]
    assert first["extra"] == {"中": [1]}
    assert all("NaN" in other["line"] for other in others)


def test_keys_are_those_of_all_files_together(jsonl):
    jsonl.events["columns"]["text"] = "words"
    jsonl.file("events1.jsonl", lines(event("u1")))
    jsonl.file("events2.jsonl", lines(event("u2", words="nice")))
    jsonl.file("events3.jsonl", "")
    jsonl.ingest()
    assert sorted(jsonl.rows("raw_events", "user_id", "text", "source_file")) == [
        ("u1", None, "events1.jsonl"),
        ("u2", "nice", "events2.jsonl"),
    ]


def test_a_key_that_no_row_has_is_a_hint_where_the_contract_can_do_without(jsonl):
    jsonl.events["columns"]["text"] = "wrods"
    jsonl.file("events.jsonl", lines(event("u1", words="nice")))
    report = jsonl.validate()
    assert report.findings == ()
    assert any("no row has 'wrods'" in hint.what for hint in report.hints)


def test_a_key_that_no_row_has_stops_where_the_contract_needs_it(jsonl):
    jsonl.events["columns"]["user_id"] = "usr"
    jsonl.file("events.jsonl", lines(event("u1")))
    (finding,) = jsonl.validate().blocking
    assert "needs column 'usr'" in finding.what
    assert "did you mean 'user'?" in finding.mend


def test_files_without_any_object_are_no_rows(jsonl):
    jsonl.file("events.jsonl", "oops\n")
    report = jsonl.validate()
    assert report.blocking == ()
    assert (report.num_rows["events"], report.num_quarantined["events"]) == (0, 1)


def test_lists_and_objects_stay_what_they_are(jsonl):
    jsonl.file("events.jsonl", lines(event("u1")))
    rows = [
        {"id": "i1", "name": "One", "tags": ["a", "中"], "meta": {"brand": "x", "none": None}},
        {"id": "i2", "name": "Two", "tags": None},
    ]
    jsonl.file("items.jsonl", lines(*rows))
    jsonl.settings["tables"]["items"] = [
        {
            "path": "items.jsonl",
            "columns": {"item_id": "id", "title": "name", "tags": "tags", "attributes": "meta", "category": "meta->>'brand'"},
        }
    ]
    jsonl.ingest()
    found = jsonl.rows("raw_items", "item_id", "tags", "attributes", "category")
    assert found[0][:2] == ("i1", ["a", "中"])
    assert json.loads(found[0][2]) == {"brand": "x", "none": None}
    assert found[0][3] == "x"
    assert found[1] == ("i2", [], None, None)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects(jsonl, indent):
    jsonl.file("all.json.gz", gzip.compress(json.dumps([event("u1"), event("u2", item=None)], indent=indent).encode()))
    jsonl.events["path"] = "all.json.gz"
    jsonl.ingest()
    assert jsonl.rows("raw_events", "user_id", "source_row") == [("u1", 1)]
    assert jsonl.reasons() == [("all.json.gz", 2, "item_id", "item_id is missing, and there is no text either")]


def test_an_array_that_is_torn_is_a_finding(jsonl):
    jsonl.file("all.json", json.dumps([event("u1"), event("u2")])[:-9])
    jsonl.events["path"] = "all.json"
    (finding,) = jsonl.validate().blocking
    assert finding.where == "all.json"
    assert "cannot be read" in finding.what


def test_odd_keys(jsonl):
    jsonl.file("events.jsonl", lines({"a/b": "u1", "q\"'~": "i1", "x.y": "rating", "TS": TS, "ts": 5, "": 4}))
    jsonl.events["columns"] = {
        "user_id": '"a/b"',
        "item_id": '"q""\'~"',
        "event_type": '"x.y"',
        "event_at": "to_timestamp(TS::DOUBLE)",
        "value": "column0",
    }
    jsonl.ingest()
    assert jsonl.rows("raw_events", "user_id", "item_id", "event_type", "value") == [("u1", "i1", "rating", 4.0)]


def test_an_address_is_read_where_it_is(jsonl):
    """file:// stands in for s3://."""
    path = jsonl.file("events.jsonl", lines(event("u1"), event("")))
    jsonl.events["path"] = f"file://{path}"
    jsonl.ingest()
    assert jsonl.rows("raw_events", "user_id", "source_row") == [("u1", 1)]
    assert [reason[1:] for reason in jsonl.reasons()] == [(2, "user_id", "user_id is missing")]


def test_a_torn_file_leaves_the_others_readable(jsonl):
    jsonl.file("events1.jsonl.gz", gzip.compress(lines(event("u1")).encode())[:-9])
    jsonl.file("events2.jsonl", lines(event("u2")))
    jsonl.events["path"] = "events*"
    report = jsonl.validate()
    assert [finding.where for finding in report.blocking] == ["events1.jsonl.gz"]
    assert report.num_rows["events"] == 1

"""Delimited text: a broken line costs itself and no other, and no character of a good one."""

import csv
import gzip
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import DatasetError
from ml.intake.delimited import Splitter, records
from ml.intake.files import LandingFile
from ml.intake.schema import LandingFiles


def splitter(**options):
    return Splitter(LandingFile("x.csv", "x.csv", "delimited", LandingFiles(path="x.csv", **options)))


def texts(shop):
    """user -> words of every good event."""
    shop.ingest()
    return dict(shop.rows("raw_events", "user_id", "text"))


def line(user, words="hello"):
    return f"{user},i1,view,2024-06-02,,{words}"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a,b,c", ["a", "b", "c"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""hi""",', ['say "hi"', ""]),
        ('"two\nlines",c', ["two\nlines", "c"]),
        ('5" disk,c', ['5" disk', "c"]),
        ('"open,c', None),
        ('"Weird" Al,c', None),
        ('""', [""]),
    ],
)
def test_strict_splitting(text, fields):
    assert splitter().split(text) == fields


def test_long_delimiters_and_no_quotes():
    assert splitter(delimiter="::").split('1::"Toy, Story"::a:b') == ["1", "Toy, Story", "a:b"]
    assert splitter(quote="").split('"Weird" Al,x') == ['"Weird" Al', "x"]


def test_both_splitters_agree():
    """Odd texts, all of three letters' length and more, split alike by the csv module and by ourselves."""
    for letters in product('a,"', repeat=6):
        text = "".join(letters)
        try:
            expected = next(csv.reader((text,), strict=True))
        except csv.Error:
            expected = None
        assert splitter()._split_slowly(text) == expected, text


def test_a_line_break_outside_quotes_ends_the_record():
    lines = ['u1,"a', 'b",c', "u2,x", "u3,y,z"]
    found = list(records(iter(lines), splitter=splitter(), width=3))
    assert [(record.text, record.fields) for record in found] == [
        ('u1,"a\nb",c', ["u1", "a\nb", "c"]),
        ("u2,x", None),
        ("u3,y,z", ["u3", "y", "z"]),
    ]
    found = list(records(iter(lines), splitter=splitter(), width=4))
    assert [record.fields for record in found] == [None] * 4


def test_long_fields_and_lone_carriage_returns():
    long = "x" * 200_000
    assert splitter().split(f'"{long}",b') == [long, "b"]
    assert splitter().split('"a\rb",c\rd') == ["a\rb", "c\rd"]


FIELD = st.text(alphabet=st.sampled_from("ab \",\n'é中"), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=8))
def test_written_records_are_read_back_whatever_they_hold(rows):
    """Every well-quoted file is read exactly, so falling back never changes a good row."""
    quoted = [",".join('"' + value.replace('"', '""') + '"' for value in row) for row in rows]
    found = list(records(iter("\n".join(quoted).split("\n")), splitter=splitter(), width=3))
    assert [tuple(record.fields or ()) for record in found] == rows


def test_a_stray_quote_costs_one_line(shop):
    shop.csv(line("u1"), line("u2", '"oops'), line("u3"), line("u4", '"fine, ok"'), line("u5"))
    assert texts(shop) == {"u1": "hello", "u2": '"oops', "u3": "hello", "u4": "fine, ok", "u5": "hello"}
    assert shop.reasons() == []


def test_text_after_a_quote_is_kept_whole(shop):
    shop.csv(line("u1", '"Weird Al" Yankovic'), line("u2"))
    assert texts(shop)["u1"] == '"Weird Al" Yankovic'


def test_line_breaks_inside_quotes_survive_broken_neighbours(shop):
    shop.csv(line("u1", '"one\ntwo, three"'), "torn,lin", line("u2", '"a\n\nb"'))
    assert texts(shop) == {"u1": "one\ntwo, three", "u2": "a\n\nb"}
    assert shop.reasons() == [("events.csv", 2, "line", "has 2 field(s) where 6 belong")]


def test_wrong_numbers_of_fields_are_kept_as_they_stand(shop):
    shop.csv(line("u1"), "u2,i2", line("u3"), line("u4") + ",more", line("u5") + ",")
    assert set(texts(shop)) == {"u1", "u3", "u5"}
    assert shop.reasons() == [
        ("events.csv", 2, "line", "has 2 field(s) where 6 belong"),
        ("events.csv", 4, "line", "has 7 field(s) where 6 belong"),
    ]
    assert shop.rows("quarantined_rows", "row_json")[0] == ('{"line":"u2,i2"}',)


def test_invalid_utf8_costs_its_line_alone(shop):
    body = [line("u1"), line("u2", "caf\udce9"), line("u3", "café 中文"), line("u4", '"two\ncaf\udce9"'), line("u5")]
    shop.file("events.csv", ("user,item,type,ts,value,words\n" + "\n".join(body) + "\n").encode("utf-8", "surrogateescape"))
    assert texts(shop) == {"u1": "hello", "u3": "café 中文", "u5": "hello"}
    reason = "holds bytes that are not of the file's encoding"
    assert shop.reasons() == [("events.csv", 2, "line", reason), ("events.csv", 4, "line", reason)]
    mends = shop.rows("quarantined_rows", "mend", "row_json")
    assert "encoding:" in mends[0][0]
    assert mends[0][1] == '{"line":"u2,i1,view,2024-06-02,,caf\ufffd"}'


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "gb18030"])
def test_encodings_are_respected(shop, encoding):
    words = "café" if encoding == "latin-1" else "café 中文"
    shop.file("events.csv", ("user,item,type,ts,value,words\n" + line("u1", words) + "\n").encode(encoding))
    shop.events["encoding"] = encoding
    assert texts(shop) == {"u1": words}


def test_bytes_outside_another_encoding_cost_their_line(shop):
    content = (
        ("user,item,type,ts,value,words\n" + line("u1", "中文") + "\n").encode("gb18030")
        + line("u2").encode()
        + b"\xff\n"
        + line("u3").encode()
    )
    shop.file("events.csv", content)
    shop.events["encoding"] = "gb18030"
    assert set(texts(shop)) == {"u1", "u3"}
    assert [reason[:2] for reason in shop.reasons()] == [("events.csv", 2)]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_endings_and_byte_order_marks(shop, ending, start):
    shop.file("events.csv", start + "user,item,type,ts,value,words\n".replace("\n", ending) + ending.join([line("u1"), "", line("u2")]))
    assert set(texts(shop)) == {"u1", "u2"}


def test_mixed_line_endings(shop):
    shop.csv(line("u1") + "\r", line("u2"), line("u3", '"a\r\nb"'))
    assert set(texts(shop)) == {"u1", "u2", "u3"}


def test_a_torn_gzip_file_is_named_and_nothing_is_written(shop):
    content = gzip.compress(("user,item,type,ts,value,words\n" + "\n".join(line(f"u{k}", f"{k * 7919:x}") for k in range(999))).encode())
    shop.events["path"] = "*.csv.gz"
    shop.file("whole.csv.gz", content)
    for number, torn in enumerate((content[: len(content) // 2], content[:-8] + bytes(8), b"no gzip")):
        shop.file("torn.csv.gz", torn)
        report = shop.validate()
        assert [finding.where for finding in report.blocking] == ["torn.csv.gz"], number
        assert "torn or no gzip" in report.blocking[0].what
        assert report.num_rows["events"] == 999
        with pytest.raises(DatasetError, match=r"torn\.csv\.gz"):
            shop.ingest()
        assert not shop.store.root.exists()


def test_an_empty_file_has_no_columns(shop):
    shop.file("events.csv", "")
    assert "not even a header line" in shop.validate().blocking[0].what


def test_a_header_alone_is_no_rows(shop):
    shop.csv()
    report = shop.validate()
    assert report.findings == ()
    assert report.num_rows["events"] == 0


def test_files_without_header_and_repeated_names(shop):
    shop.file("events.csv", "u1\ti1\tview\t2024-06-02\n")
    shop.events.update({"delimiter": "\t", "header": False, "names": ["id", "ID", "", "ts"]})
    shop.events["columns"] = {"user_id": "id", "item_id": "ID_1", "event_type": "column2", "event_at": "ts"}
    shop.ingest()
    assert shop.rows("raw_events", "user_id", "item_id", "event_type") == [("u1", "i1", "view")]


def test_both_readers_number_rows_alike(shop):
    """Row numbers come from DuckDB for a clean file, from us for a broken one; blank lines count in neither."""
    lines = [line("u1"), "", line("u2", '"a\nb"'), line("u3")]
    shop.csv(*lines)
    shop.csv(*lines, "torn", name="broken.csv")
    shop.events["path"] = "*.csv"
    shop.ingest()
    rows = sorted(shop.rows("raw_events", "source_file", "user_id", "source_row"))
    assert [row[1:] for row in rows[:3]] == [row[1:] for row in rows[3:]] == [("u1", 1), ("u2", 2), ("u3", 3)]


def test_large_files_are_read_in_pieces(shop, monkeypatch):
    monkeypatch.setattr("ml.intake.text.CHUNK_BYTES", 64)
    monkeypatch.setattr("ml.intake.delimited.RECORDS_PER_BATCH", 7)
    lines = [line(f"u{k:03d}", f"词{k}") for k in range(100)]
    shop.csv(*lines[:50], "torn", *lines[50:])
    assert texts(shop) == {f"u{k:03d}": f"词{k}" for k in range(100)}
    rows = [row for (row,) in sorted(shop.rows("raw_events", "source_row"))]
    assert [after - before for before, after in pairwise(rows)] == [1] * 49 + [2] + [1] * 49


def test_an_address_is_read_strictly_or_not_at_all(shop):
    """file:// stands in for s3://."""
    path = shop.csv(line("u1"), line("u2"))
    shop.events["path"] = f"file://{path}"
    shop.ingest()
    assert sorted(shop.rows("raw_events", "user_id", "source_row")) == [("u1", 1), ("u2", 2)]
    shop.csv(line("u1"), "torn")
    (finding,) = shop.validate().blocking
    assert "cannot be read" in finding.what


def test_an_address_without_header(shop):
    path = shop.csv(line("u1"), header="")
    shop.events.update({"path": f"file://{path}", "header": False, "names": ["user", "item", "type", "ts", "value", "words"]})
    shop.ingest()
    assert shop.rows("raw_events", "user_id", "text") == [("u1", "hello")]


def test_a_file_that_may_not_be_read(shop, monkeypatch):
    shop.csv(line("u1"))

    def refuse(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ml.intake.text._open_bytes", refuse)
    (finding,) = shop.validate().blocking
    assert (finding.where, finding.what) == ("events.csv", "cannot be opened: Permission denied")


def test_a_file_that_is_not_of_its_encoding_at_all(shop):
    shop.file("events.csv", b"\xff\xfe\x00")
    shop.events["encoding"] = "ascii"
    assert "its header line is not ascii" in shop.validate().blocking[0].what
    shop.file("events.csv", "user".encode("utf-16") + b"\x00")
    shop.events["encoding"] = "utf-16"
    assert "cannot be read as utf-16" in shop.validate().blocking[0].what

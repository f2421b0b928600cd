"""A mapping that does not fit its files: what is missing, what was found instead, all of it at once."""

import pytest

from ml.errors import DatasetError

GOOD = "u1,i1,view,2024-06-02,,"


def test_every_missing_column_is_named_with_what_is_there(shop):
    shop.csv(GOOD)
    shop.events["columns"].update(user_id="usr || valeu", event_at="when_", event_type="view")
    shop.events["where"] = "amount > 1"
    shop.settings["tables"]["items"] = [{"path": "catalog.csv", "columns": {"item_id": "id"}}]
    with pytest.raises(DatasetError) as caught:
        shop.ingest()
    whats = [finding.what for finding in caught.value.findings]
    assert [what.split(",")[0] for what in whats[:5]] == [
        "columns.user_id needs column 'usr'",
        "columns.user_id needs column 'valeu'",
        "columns.event_type needs column 'view'",
        "columns.event_at needs column 'when_'",
        "where needs column 'amount'",
    ]
    assert "catalog.csv does not exist" in whats[5]
    message = str(caught.value)
    assert "found user, item, type, ts, value, words" in message
    assert "did you mean 'user'?" in message
    assert "did you mean 'value'?" in message
    assert "a constant needs quotes: \"'view'\"" in message
    assert not shop.store.root.exists()


def test_a_missing_column_is_found_in_the_file_that_lacks_it(shop):
    shop.csv(GOOD, name="events1.csv")
    shop.csv("u1,i1,view,2024-06-02", name="events2.csv", header="user,item,kind,ts\n")
    shop.events["path"] = "events*.csv"
    found = shop.validate()
    assert {finding.where for finding in found.blocking} == {"events2.csv"}
    assert len(found.blocking) == 3
    assert found.num_rows["events"] == 1


@pytest.mark.parametrize(
    ("column", "expression", "what", "mend"),
    [
        ("event_at", "value::INT", "gives INTEGER, where a time belongs", "to_timestamp(seconds)"),
        ("event_at", "to_timestamp(ts)", "No function matches", "cast them first"),
        ("value", "string_split(value, '|')", "gives VARCHAR[], where a number belongs", "rating::DOUBLE"),
        ("user_id", "[user]", "gives VARCHAR[], where text belongs", "array_to_string"),
        ("value", "value - 3", "No function matches", "rating::DOUBLE"),
        ("text", "(SELECT 1)", "scalar subquery", "no subquery"),
        ("text", "max(words)", "aggregates", "no aggregate"),
        ("text", "random()", "volatile", "row by row"),
        ("text", "no_such_function(words)", "no_such_function", "DuckDB expression"),
    ],
)
def test_expressions_that_do_not_fit(shop, column, expression, what, mend):
    shop.csv(GOOD)
    shop.events["columns"][column] = expression
    (finding,) = shop.validate().blocking
    assert finding.where == f"events.csv columns.{column}"
    assert what in finding.what
    assert mend in finding.mend


def test_files_of_the_same_columns_are_told_about_together(shop):
    for number in range(3):
        shop.csv(GOOD, name=f"events{number}.csv")
    shop.csv("u1,i1,view,2024-06-28", name="other.csv", header="user,item,type,ts\n")
    shop.events["path"] = "*.csv"
    shop.events["columns"]["user_id"] = "usr"
    where = [finding.where for finding in shop.validate().blocking if "'usr'" in finding.what]
    assert where == ["events0.csv and 2 more file(s)", "other.csv"]


def test_taking_files_together_changes_nothing(shop, monkeypatch):
    for number in range(4):
        shop.csv(f"u{number},i1,view,2024-06-28,,", "torn", f",i{number},view,2024-06-28,,", name=f"events{number}.csv")
    shop.events["path"] = "*.csv"
    shop.ingest()
    together = {path: path.read_bytes() for path in shop.store.root.rglob("*.parquet")}
    assert len(shop.reasons()) == 8
    monkeypatch.setattr("ml.intake.units.MAX_BYTES_TOGETHER", 200)
    shop.ingest()
    assert {path: path.read_bytes() for path in shop.store.root.rglob("*.parquet")} == together


TAGS = "id,tag\n"


@pytest.fixture
def joined(shop):
    """Items whose tags stand in a second file."""
    shop.csv(GOOD)
    shop.csv("i1,One", "i2,Two", ",Three", name="items.csv", header="id,name\n")
    shop.csv("i1,a", "i1,b", "broken", "i9,c", name="tags.csv", header=TAGS)
    shop.settings["tables"]["items"] = [
        {
            "path": "items.csv",
            "lookups": {"tags": {"path": "tags*.csv"}},
            "join": "LEFT JOIN (SELECT id, list(tag ORDER BY tag) AS tag_list FROM tags GROUP BY id) AS grouped ON grouped.id = source.id",
            "columns": {"item_id": "source.id", "title": "name", "tags": "tag_list"},
        }
    ]
    return shop


def test_a_join_brings_columns_and_loses_no_row(joined):
    joined.csv("i2,z", name="tags2.csv", header=TAGS)
    joined.ingest()
    assert joined.rows("raw_items", "item_id", "tags") == [("i1", ["a", "b"]), ("i2", ["z"])]
    assert joined.reasons() == [
        ("items.csv", 3, "item_id", "item_id is missing"),
        ("tags.csv", 3, "line", "has 1 field(s) where 2 belong"),
    ]


@pytest.mark.parametrize(
    ("join", "what"),
    [
        ("LEFT JOIN tags ON tags.id = source.id", "makes 4 rows of 3; 0 row(s) are lost"),
        ("JOIN (SELECT DISTINCT id FROM tags) AS tags ON tags.id = source.id", "makes 1 rows of 3; 2 row(s) are lost"),
        ("LEFT JOIN tagz ON true", "tagz"),
        ("LEFT JOIN (SELECT DISTINCT id::INT AS id FROM tags) AS tags ON tags.id = source.id::INT", "cannot be made: Conversion Error"),
    ],
)
def test_a_join_that_changes_the_rows_is_refused(joined, join, what):
    joined.settings["tables"]["items"][0].update(join=join, columns={"item_id": "source.id", "title": "name"})
    (finding,) = joined.validate().blocking
    assert finding.where == "items.csv join"
    assert what in finding.what


def test_a_lookup_that_is_torn_is_named(joined):
    joined.file("tags2.csv.gz", b"no gzip")
    joined.settings["tables"]["items"][0]["lookups"]["tags"]["path"] = "tags2.csv.gz"
    (finding,) = joined.validate().blocking
    assert finding.where == "tags2.csv.gz"

"""A dataset file that does not hold says everything at once, with the place and the mend."""

from datetime import date
from pathlib import Path

import pytest

from ml.errors import DatasetError
from ml.intake.dataset import load_dataset


def findings_of(shop):
    with pytest.raises(DatasetError) as caught:
        shop.load()
    return {finding.where: finding for finding in caught.value.findings}, str(caught.value)


def test_a_dataset_file_becomes_a_frozen_dataset(shop):
    dataset = shop.load()
    assert (dataset.name, dataset.language, dataset.timezone, dataset.start) == ("shop", "en", "UTC", date(2024, 6, 28))
    assert dataset.weights == {"view": "1", "rating": "value - 3.0"}
    assert dataset.tables.events[0].columns["user_id"] == "user"
    assert dataset.tables.items == ()
    with pytest.raises(ValueError, match="frozen"):
        dataset.name = "other"


def test_users_left_empty_is_no_users(shop):
    shop.settings["tables"]["users"] = None
    assert shop.load().tables.users == ()


def test_every_finding_is_said_at_once(shop):
    shop.settings["tables"]["events"][0]["columns"] = {
        "userid": "user",
        "event_type": "type",
        "event_at": "to_timestamp(ts",
        "item_id": "item; drop table x",
    }
    shop.settings["tables"]["items"] = [
        {"path": "${SHOP_DATA}/items.csv", "columns": {"item_id": "id", "title": {"a": "b"}}, "where": "a >"}
    ]
    shop.settings["weights"] = {"view": "one +", "cart": "amount"}
    found, message = findings_of(shop)
    assert set(found) == {
        "shop.yaml",
        "shop.yaml tables.events[0].columns",
        "shop.yaml tables.events[0].columns.userid",
        "shop.yaml tables.events[0].columns.event_at",
        "shop.yaml tables.events[0].columns.item_id",
        "shop.yaml tables.items[0].columns.title",
        "shop.yaml tables.items[0].where",
        "shop.yaml weights.view",
        "shop.yaml weights.cart",
    }
    assert "did you mean 'user_id'?" in found["shop.yaml tables.events[0].columns.userid"].mend
    assert "user_id is not mapped; found userid, event_type" in found["shop.yaml tables.events[0].columns"].what
    assert found["shop.yaml"].what == "the variable SHOP_DATA is not set"
    assert '"amount" not found' in found["shop.yaml weights.cart"].what
    assert "9 problem(s)" in message


@pytest.mark.parametrize(
    ("change", "where", "word"),
    [
        ({"name": "My Shop"}, "shop.yaml name", "'My Shop'"),
        ({"name": 7}, "shop.yaml name", "string"),
        ({"language": "fr"}, "shop.yaml language", "'fr'"),
        ({"timezone": "Asia/Shanghia"}, "shop.yaml timezone", "did you mean 'Asia/Shanghai'?"),
        ({"start": "soon"}, "shop.yaml start", "'soon'"),
        ({"wieghts": {"view": 1}}, "shop.yaml wieghts", "did you mean 'weights'?"),
        ({"weights": {}}, "shop.yaml weights", "at least 1"),
        ({"weights": {True: 1}}, "shop.yaml weights", "found True"),
        ({"tables": {"events": []}}, "shop.yaml tables.events", "at least 1"),
        ({"tables": {"evnets": []}}, "shop.yaml tables.evnets", "did you mean 'events'?"),
        ({"path": "x"}, "shop.yaml path", "unknown key"),
    ],
)
def test_the_shape_is_checked(shop, change, where, word):
    shop.settings.update(change)
    found, _ = findings_of(shop)
    assert where in found
    assert word in str(found[where])


@pytest.mark.parametrize(
    ("change", "where", "word"),
    [
        ({"delimeter": ";"}, ".delimeter", "did you mean 'delimiter'?"),
        ({"encoding": "utf-9"}, ".encoding", "no known encoding"),
        ({"header": False}, "", "header: false needs names"),
        ({"names": ["a"]}, "", "names is for files without a header line"),
        ({"columns": {"user_id": ["a"]}}, ".columns.user_id", "str"),
        ({"lookups": {"source": {"path": "x.csv"}}, "join": "left join x on true"}, "", "lookup 'source'"),
        ({"lookups": {"tags": {"path": "x.csv"}}}, ".lookups", "lookups without a join"),
        ({"join": "where 1 = 1"}, ".join", "not only joins"),
        ({"join": "left join"}, ".join", "not a SQL join"),
    ],
)
def test_a_source_is_checked(shop, change, where, word):
    shop.events.update(change)
    found, _ = findings_of(shop)
    place = f"shop.yaml tables.events[0]{where}"
    assert place in found
    assert word in str(found[place])


def test_an_event_needs_an_item_or_words(shop):
    del shop.events["columns"]["item_id"], shop.events["columns"]["text"]
    found, _ = findings_of(shop)
    assert found["shop.yaml tables.events[0].columns"].what == "neither item_id nor text is mapped"


def test_epochs_read_as_local_time_are_refused(shop):
    shop.settings["timezone"] = "Asia/Shanghai"
    shop.events["columns"]["event_at"] = "epoch_ms(ts::BIGINT)"
    found, _ = findings_of(shop)
    assert "to_timestamp(<milliseconds> / 1000.0)" in found["shop.yaml tables.events[0].columns.event_at"].mend


@pytest.mark.parametrize(
    ("content", "word"), [("a: [", "not valid YAML"), ("", "holds no keys"), (b"\xff\xfe", "not UTF-8"), ("- a", "holds no keys")]
)
def test_a_file_that_is_no_mapping(shop, content, word):
    path = shop.file("broken.yaml", content)
    with pytest.raises(DatasetError, match=word):
        load_dataset(path, variables={})


def test_a_file_that_is_not_there():
    with pytest.raises(DatasetError, match="No such file"):
        load_dataset(Path("nowhere.yaml"), variables={})


def test_a_column_named_like_a_word_of_sql_is_told_how_to_quote(shop):
    shop.events["columns"]["event_at"] = "at"
    found, _ = findings_of(shop)
    assert """write '"at"'""" in found["shop.yaml tables.events[0].columns.event_at"].mend


def test_only_the_variables_it_names_are_kept(shop):
    shop.events["path"] = "${SHOP_DATA}/events.csv"
    shop.variables = {"SHOP_DATA": "/data", "SECRET": "s"}
    assert shop.load().variables == {"SHOP_DATA": "/data"}

"""Validation says everything at once: the dataset file, its files, its rows, and what looks odd."""

import json
from datetime import UTC, datetime

import pytest

from ml.errors import DatasetError

GOOD = "u1,i1,view,2024-06-28 10:00:00,,"


def test_a_dataset_that_holds(shop):
    shop.csv(GOOD, "u2,i2,rating,2024-06-29 11:00:00,4,")
    report = shop.validate()
    assert report.findings == report.hints == ()
    assert report.num_rows == {"events": 2, "items": 0, "users": 0, "knowledge": 0}
    assert (report.first_event_at, report.last_event_at) == (
        datetime(2024, 6, 28, 10, tzinfo=UTC),
        datetime(2024, 6, 29, 11, tzinfo=UTC),
    )
    assert report.rows()[0] == {"table": "events", "rows": 2, "kept_out": 0}
    assert json.loads(json.dumps(report.as_dict(), default=str))["num_rows"]["events"] == 2


def test_rows_kept_out_are_told_by_reason_with_the_first_place(shop):
    shop.csv(GOOD, *[",i1,view,2024-06-28,,"] * 3, "u1,i1,cart,2024-06-28,,", name="b.csv")
    shop.csv(",i1,view,2024-06-28,,", name="a.csv")
    shop.events["path"] = "?.csv"
    report = shop.validate()
    assert report.blocking == ()
    assert [(finding.where, finding.what) for finding in report.row_findings] == [
        ("a.csv row 1 and 3 more row(s)", "kept out of events: user_id is missing (column user_id)"),
        ("b.csv row 5", "kept out of events: event type 'cart' has no weight (column event_type)"),
    ]
    assert "weights (there: view, rating)" in report.row_findings[1].mend
    assert report.as_dict()["row_findings"][1]["where"] == "b.csv row 5"


def test_dataset_file_and_landing_files_are_told_together(shop):
    shop.csv(GOOD)
    shop.file("torn.parquet", b"PAR1")
    shop.settings["tables"]["events"] += [
        {"path": "torn.parquet", "columns": dict(shop.events["columns"])},
        {"path": "${NOT_SET}/more.csv", "columns": dict(shop.events["columns"])},
        {"path": "events.csv", "columns": {**shop.events["columns"], "vlaue": "value"}},
    ]
    shop.settings["weights"]["cart"] = "amount"
    report = shop.validate_file()
    assert [finding.where for finding in report.blocking] == [
        "shop.yaml",
        "shop.yaml tables.events[3].columns.vlaue",
        "shop.yaml weights.cart",
        "torn.parquet",
    ]
    assert report.num_rows["events"] == 1


def test_a_sound_dataset_file_is_validated_as_it_is(shop):
    shop.csv(GOOD)
    assert shop.validate_file() == shop.validate()


def test_a_dataset_file_too_broken_to_go_on(shop):
    shop.settings["tables"] = {}
    with pytest.raises(DatasetError, match="events"):
        shop.validate_file()


def hints(shop):
    return {hint.where: hint for hint in shop.validate().hints}


def test_hint_start_after_the_last_event(shop):
    shop.csv("u1,i1,view,2024-05-28,,")
    assert "is after the last event (2024-05-28)" in hints(shop)["shop.yaml start"].what


def test_hint_start_long_before_the_first_event(shop):
    shop.settings["start"] = "2023-06-29"
    shop.csv(GOOD)
    assert "365 days before the first event" in hints(shop)["shop.yaml start"].what


def test_hint_duplicates(shop):
    shop.csv(GOOD, GOOD, "u2,i1,rating,2024-06-28,3,")
    assert hints(shop)["tables.events"].what == "1 of 3 events are duplicates of another and count once"


def test_hint_no_events(shop):
    shop.csv()
    assert hints(shop)["tables.events"].what == "no event keeps the contract"


def test_hint_ids_that_do_not_meet(shop):
    shop.csv(GOOD, "u1,i2,rating,2024-06-28,3,")
    shop.csv("1", "2", name="items.csv", header="id\n")
    shop.settings["tables"]["items"] = [{"path": "items.csv", "columns": {"item_id": "id"}}]
    assert "2 of 2 items acted upon are not in the catalogue, e.g. 'i1', 'i2'" in hints(shop)["tables.items"].what
    assert "'1'" in hints(shop)["tables.items"].mend


def test_hint_weights_without_events(shop):
    shop.csv(GOOD)
    assert hints(shop)["shop.yaml weights.rating"].what == "no event has this type"

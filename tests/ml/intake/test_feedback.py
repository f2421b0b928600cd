"""The feedback log is landing files like any other: nobody names it, its rows are events, exactly once each."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ml.errors import DatasetError
from ml.intake.dataset import Dataset, dataset_fingerprint, load_dataset
from ml.intake.feedback import LOG, event_weights, with_feedback, without_feedback
from ml.intake.files import find_files
from ml.intake.ingest import landed_days
from ml.intake.text import decoded_lines
from serving.feedback.entry import Accepted, Feedback, ShownAs, to_line
from tests.ml.intake.conftest import NOW, Shop

YESTERDAY, TODAY = NOW.date() - timedelta(days=1), NOW.date()


class ShopWithFeedback(Shop):
    """The shop whose home holds a feedback log."""

    @property
    def log(self) -> Path:
        return self.folder / "home" / "feedback"

    def load(self) -> Dataset:
        return with_feedback(load_dataset(self.path, variables=self.variables), self.log)

    def say(self, *lines: bytes, day: date = TODAY, number: int = 1) -> Path:
        """Append to a file of the log."""
        self.log.mkdir(parents=True, exist_ok=True)
        path = self.log / f"{day}-{number:04d}.jsonl"
        with path.open("ab") as handle:
            handle.write(b"".join(lines))
        return path

    def states(self) -> dict[date, str]:
        found = landed_days(self.load(), config=self.config, now=self.now, landed=self.landed)
        return dict(zip(*(found.column(name).to_pylist() for name in ("day", "digest")), strict=True))


@pytest.fixture
def shop(tmp_path: Path) -> ShopWithFeedback:
    shop = ShopWithFeedback(tmp_path, landed=tmp_path / "landed", recompute=False)
    shop.csv("u1,i1,view,2024-06-29 10:00:00,,", "u2,i2,rating,2024-06-29 11:00:00,5,")
    return shop


def line(key: str, *, kind: str = "like", at: datetime = NOW, **more) -> bytes:
    given = {"user_id": "u1", "item_id": "i1"} | more
    return to_line(Accepted(Feedback(key=key, kind=kind, **given), at))


def events(shop: Shop) -> list[tuple]:
    found = shop.rows("raw_events", "event_id", "event_type", "source_file", "source_row", "is_superseded")
    return sorted(row for row in found if row[0].startswith("feedback:"))


def test_every_kind_is_an_event_whatever_the_weights_name(shop) -> None:
    shop.say(
        line("1", kind="click", session_id="s1"),
        line("2", shown=ShownAs("20240629-0123456789ab", rank=3, propensity=0.25)),
        line("3", kind="dislike"),
        line("4", kind="hide"),
        line("5", kind="purchase", value=2.0),
        line("6", kind="rating", value=4.5, text="好用"),
        line("7", kind="text", item_id=None, text="something for\nrainy hikes"),
    )
    shop.ingest()
    assert shop.reasons() == []
    found = shop.rows("raw_events", "event_id", "user_id", "item_id", "event_type", "event_at", "value", "text", "session_id")[2:]
    assert found == [
        ("feedback:1", "u1", "i1", "click", NOW, None, None, "s1"),
        ("feedback:2", "u1", "i1", "like", NOW, None, None, None),
        ("feedback:3", "u1", "i1", "dislike", NOW, None, None, None),
        ("feedback:4", "u1", "i1", "hide", NOW, None, None, None),
        ("feedback:5", "u1", "i1", "purchase", NOW, 2.0, None, None),
        ("feedback:6", "u1", "i1", "rating", NOW, 4.5, "好用", None),
        ("feedback:7", "u1", None, "text", NOW, None, "something for\nrainy hikes", None),
    ]
    assert {row[2] for row in events(shop)} == {"${INTEREST_GRAPH_FEEDBACK}/2024-06-30-0001.jsonl"}


def test_a_datasets_own_weight_comes_first_and_its_own_files_are_judged_by_its_own(shop) -> None:
    shop.settings["weights"] = {"view": 1, "rating": "ln(value)", "hide": -9}
    shop.csv("u1,i1,view,2024-06-29 10:00:00,,", "u1,i1,like,2024-06-29 10:00:00,,")
    shop.say(line("1"), line("2", kind="rating", value=-1.0), line("3", kind="rating", value=2.0))
    assert {name: event_weights(shop.load())[name] for name in ("view", "rating", "hide", "like")} == {
        "view": "1",
        "rating": "ln(value)",
        "hide": "-9",
        "like": "3",
    }
    shop.ingest()
    assert [row[0] for row in events(shop)] == ["feedback:1", "feedback:3"]
    assert sorted(row[::3] for row in shop.reasons()) == [
        ("${INTEREST_GRAPH_FEEDBACK}/2024-06-30-0001.jsonl", "the weight `ln(value)` of event type 'rating' gives no number"),
        ("events.csv", "event type 'like' has no weight"),
    ]


@pytest.mark.parametrize("home", ["home", "elsewhere/another"])
def test_names_of_the_log_are_equal_on_every_machine(shop, home) -> None:
    shop.say(line("1"))
    (shop.folder / "home").rename(moved := shop.folder.parent / f"{shop.folder.name}-{Path(home).name}")
    dataset = with_feedback(load_dataset(shop.path, variables={}), moved / "feedback")
    shop.load = lambda: dataset
    shop.ingest()
    assert events(shop)[0][2] == "${INTEREST_GRAPH_FEEDBACK}/2024-06-30-0001.jsonl"


def test_without_any_feedback_nothing_is_other_than_without_a_log(shop) -> None:
    shop.ingest()
    before = shop.written()
    shop.log.mkdir(parents=True)
    (shop.log / "writer.lock").write_text("1")
    assert dataset_fingerprint(shop.load()) == dataset_fingerprint(without_feedback(shop.load()))
    assert shop.ingest().written == ()
    assert shop.written() == before


def test_a_file_being_written_is_read_up_to_its_last_whole_line(shop) -> None:
    path = shop.say(line("1"))
    for end in (0, 1, 40, len(line("2")) - 2, len(line("2")) - 1):
        path.write_bytes(line("1") + line("2")[:end])
        shop.ingest()
        assert [row[0] for row in events(shop)] == ["feedback:1"]
        assert shop.reasons() == []
    path.write_bytes(line("1") + line("2"))
    shop.ingest()
    assert [row[0] for row in events(shop)] == ["feedback:1", "feedback:2"]


@pytest.mark.parametrize("begun", [b"", line("1")[:20]])
def test_a_file_without_a_whole_line_stops_nothing(shop, begun) -> None:
    shop.say(begun)
    assert shop.ingest().num_quarantined == 0
    assert events(shop) == []


def test_a_log_that_grows_is_read_again_where_it_grew_and_changes_its_own_days_alone(shop) -> None:
    shop.say(line("1", at=NOW - timedelta(days=1)), day=YESTERDAY)
    shop.say(line("2"))
    shop.ingest()
    before, fingerprint = shop.states(), dataset_fingerprint(shop.load())
    shop.say(line("3"))
    assert dataset_fingerprint(shop.load()) != fingerprint
    assert dataset_fingerprint(without_feedback(shop.load())) == dataset_fingerprint(without_feedback(shop.load()))
    report = shop.ingest()
    assert (report.num_files_parsed, report.written) == (1, (TODAY,))
    after = shop.states()
    assert {day for day in after if after[day] != before.get(day)} == {TODAY}
    assert [row[0] for row in events(shop)] == ["feedback:1", "feedback:2", "feedback:3"]


def test_feedback_of_a_built_day_is_late_like_any_event(shop) -> None:
    shop.ingest()
    before = shop.states()
    shop.say(line("1", at=datetime(2024, 6, 29, 23, 59, 59, 999999, UTC)))
    assert {day for day, digest in shop.states().items() if digest != before.get(day)} == {YESTERDAY}
    assert shop.ingest().written == (YESTERDAY,)


def test_a_key_given_again_when_the_log_had_forgotten_it_is_one_event(shop) -> None:
    old = shop.say(line("1", at=NOW - timedelta(days=1)), day=YESTERDAY)
    shop.say(line("1"))
    os.utime(old, (NOW.timestamp() - 86400,) * 2)
    shop.ingest()
    assert [row[1:] for row in events(shop)] == [
        ("like", "${INTEREST_GRAPH_FEEDBACK}/2024-06-29-0001.jsonl", 1, True),
        ("like", "${INTEREST_GRAPH_FEEDBACK}/2024-06-30-0001.jsonl", 1, False),
    ]


def test_a_broken_line_is_kept_aside_and_the_others_go_on(shop) -> None:
    shop.say(line("1"), b"\x00\x00\x00\n", line("2"))
    shop.ingest()
    assert [row[0] for row in events(shop)] == ["feedback:1", "feedback:2"]
    assert [row[1:] for row in shop.reasons()] == [(2, "line", "is not a JSON object")]


def test_only_lines_can_grow(shop) -> None:
    shop.events["growing"] = True
    with pytest.raises(DatasetError, match=r"growing is for \.jsonl and \.ndjson, whose lines stand alone"):
        shop.load()


def test_a_file_of_the_dataset_can_grow_too(shop) -> None:
    shop.events.update(path="events.jsonl", growing=True)
    whole = '{"user": "u1", "item": "i1", "type": "view", "ts": "2024-06-29T10:00:00", "value": null, "words": null}\n'
    shop.file("events.jsonl", whole + whole.replace("u1", "u2")[:-1])
    assert shop.ingest().num_rows["raw_events"] == 1
    shop.file("events.jsonl", whole + whole.replace("u1", "u2"))
    assert shop.ingest().num_rows["raw_events"] == 2


def test_what_is_appended_while_it_is_read_waits_for_the_next_time(shop) -> None:
    path = shop.say(line("1"))
    (file,) = find_files(shop.load(), LOG)
    shop.say(line("2"))
    assert [text for lines in decoded_lines(file) for text in lines if text] == [line("1").decode().rstrip()]
    path.write_bytes(b"")
    assert [text for lines in decoded_lines(file) for text in lines if text] == []

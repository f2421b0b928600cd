"""The sample as files: the same for the same seed, of the promised size, and readable by its own dataset file."""

import filecmp
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from examples.shop.__main__ import main
from examples.shop.settings import SampleSettings
from examples.shop.simulate import write_sample
from examples.shop.truth import read_rows
from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import QUARANTINED_ROWS, RAW_EVENTS
from ml.contracts.store import TableStore
from ml.ids import UserIdBorder
from ml.intake.dataset import load_dataset
from ml.intake.ingest import ingest
from ml.intake.validate import validate

SMALL = SampleSettings(num_users=120, num_items=150, num_days=14)
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def files_below(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("small")
    write_sample(directory, settings=SMALL)
    return directory


def test_the_same_seed_gives_the_same_bytes(small, tmp_path):
    write_sample(tmp_path, settings=SMALL)
    names = files_below(small)
    assert files_below(tmp_path) == names
    assert filecmp.cmpfiles(small, tmp_path, names, shallow=False) == (names, [], [])


def test_another_seed_gives_another_shop(small, tmp_path):
    write_sample(tmp_path, settings=SMALL.model_copy(update={"seed": 8}))
    _, differing, _ = filecmp.cmpfiles(small, tmp_path, ["catalogue/items.jsonl", "users.csv", "searches.csv"], shallow=False)
    assert len(differing) == 3


def test_a_shorter_sample_leaves_no_day_of_a_longer_one_behind(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write_sample(tmp_path, settings=SMALL)
    write_sample(tmp_path, settings=SMALL.model_copy(update={"num_days": 9}))
    assert len(list((tmp_path / "events").iterdir())) == 9
    assert load_dataset(tmp_path / "shop.yaml", variables={}).start == date(2026, 6, 22)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_smallest_sample_holds_together(tmp_path, seed):
    dataset = load_dataset(write_sample(tmp_path, settings=SampleSettings(seed=seed, num_users=20, num_items=40, num_days=8)), variables={})
    report = validate(dataset, config=IntakeConfig(), now=NOW)
    assert report.blocking == ()
    assert report.num_rows["items"] == 40
    assert report.num_rows["users"] == 20
    assert report.num_quarantined["events"] == len(read_rows(tmp_path / "truth" / "broken_rows.csv"))


def test_every_good_row_is_kept_and_exactly_the_broken_ones_are_not(sample, tmp_path):
    dataset = load_dataset(sample.directory / "shop.yaml", variables={})
    store = TableStore(tmp_path)
    days = [sample.settings.first_day, sample.settings.last_day]
    report = ingest(dataset, days=days, store=store, border=UserIdBorder("shop"), config=IntakeConfig(), now=NOW)
    kept_out = store.read(QUARANTINED_ROWS, day=sample.settings.last_day).to_pylist()
    broken = read_rows(sample.directory / "truth" / "broken_rows.csv")
    assert {(row["source_file"], row["source_row"]) for row in kept_out} == {(row["file"], int(row["row"])) for row in broken}
    assert len(kept_out) == len(broken) == report.num_quarantined
    odd = read_rows(sample.directory / "truth" / "odd_rows.csv")
    other_rows = len(sample.items) + sample.settings.num_users + len(read_rows(sample.directory / "catalogue" / "knowledge.csv"))
    assert report.num_good == len(sample.events) + len(odd) + other_rows
    first = store.read(RAW_EVENTS, day=days[0])
    assert first.num_rows >= (sample.events["day"] == days[0]).sum()


def test_what_is_broken_is_what_the_truth_says(small):
    reasons = {
        "missing_user": "user_id is missing",
        "bad_timestamp": "event_at is not a readable time",
        "unknown_event_type": "has no weight",
        "invalid_utf8": "not of the file's encoding",
        "future_timestamp": "event_at is in the future",
        "invalid_rating": "value is not a number",
    }
    found = validate(load_dataset(small / "shop.yaml", variables={}), config=IntakeConfig(), now=NOW).row_findings
    broken = read_rows(small / "truth" / "broken_rows.csv")
    assert {row["what"] for row in broken} == set(reasons)
    for what, reason in reasons.items():
        assert any(reason in finding.what for finding in found), what


def test_sizes_are_as_promised(sample):
    counts = sample.events["kind"].value_counts()
    assert 60_000 < len(sample.events) < 90_000
    assert 3_000 < counts["review"] < 6_000
    assert 2_500 < counts["search"] < 4_000
    assert min(counts["cart"], counts["purchase"], counts["rating"]) > 2_000
    assert counts["view"] > counts["cart"] > counts["purchase"]
    assert len(sample.items) == 1_200
    size = sum(path.stat().st_size for path in sample.directory.rglob("*") if path.is_file())
    assert size < 4_000_000


def test_days_are_those_of_the_settings(sample):
    assert sample.settings.first_day == date(2026, 5, 2)
    assert sorted(sample.events["day"].unique()) == [day.date() for day in pd.date_range("2026-05-02", "2026-06-30")]


def test_items_and_users_arrive_over_time(sample):
    start = pd.Timestamp(sample.settings.first_day, tz="UTC")
    assert 0.75 < (sample.items["listed_at"] < start).mean() < 0.85
    users = pd.read_csv(sample.directory / "users.csv", parse_dates=["joined_on"])
    assert 0.65 < (users["joined_on"] < start.tz_localize(None)).mean() < 0.75
    assert users["joined_on"].max() <= pd.Timestamp(sample.settings.last_day)


def test_nobody_acts_before_joining_nor_on_what_is_not_listed(sample):
    users = pd.read_csv(sample.directory / "users.csv", parse_dates=["joined_on"]).set_index("customer")["joined_on"].dt.tz_localize("UTC")
    honest = sample.events[~sample.events["user_id"].isin(sample.truth.spam_users)]
    assert (honest["at"] >= honest["user_id"].map(users)).all()
    listed = sample.items.set_index("sku")["listed_at"]
    on_items = sample.events.dropna(subset=["item_id"])
    assert (on_items["at"] >= on_items["item_id"].map(listed)).all()


def test_a_visit_is_one_user_and_short(sample):
    visits = sample.events.dropna(subset=["visit"]).groupby("visit")
    assert (visits["user_id"].nunique() == 1).all()
    assert (visits["at"].max() - visits["at"].min()).max() < pd.Timedelta(hours=2)


def test_bought_things_were_in_the_cart_unless_bought_again(sample):
    acts = sample.events[sample.events["kind"].isin(["cart", "purchase"])]
    carted = acts[acts["kind"] == "cart"].groupby(["user_id", "item_id"])["at"].min().rename("carted_at")
    bought = acts[acts["kind"] == "purchase"].join(carted, on=["user_id", "item_id"])
    # Reorders of what was first bought before the first day have no cart.
    assert (bought["carted_at"] < bought["at"]).mean() > 0.9


def test_settings_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="shift_days"):
        SampleSettings(num_days=8, shift_days=8)
    with pytest.raises(ValueError, match="num_items"):
        SampleSettings(num_items=3)


def test_command_line_says_where_it_wrote(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "--users", "20", "--items", "40", "--days", "8", "--seed", "3"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "shop.yaml")


def test_command_line_names_the_setting_that_does_not_hold(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path), "--days", "3"])
    assert stopped.value.code == 2
    assert "num_days" in capsys.readouterr().err
    assert files_below(tmp_path) == []

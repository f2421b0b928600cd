"""Folders with an id and one pointer: what is complete, what is live, what may go. No Feast is needed for it."""

import subprocess
import sys
import threading
from datetime import date, timedelta
from itertools import pairwise

import pytest
import yaml

from feature_repo.generations import GenerationStore, forget
from ml.config import DatasetHome
from ml.errors import PublishError

DAY = date(2026, 3, 1)


@pytest.fixture
def store(tmp_path) -> GenerationStore:
    return GenerationStore(DatasetHome(tmp_path, "my-shop"))


@pytest.fixture
def add(store):
    """Begin and finish a generation, and point at it unless told not to."""

    def make(day: date = DAY, *, release: str = "r1", live: bool = True, fingerprint: str = "0123456789abcdef"):
        directory = store.begin(day=day, fingerprint=fingerprint)
        (directory / "feature_store.yaml").write_text(yaml.safe_dump({"registry": {"path": str(directory / "registry.db")}}))
        generation = store.finish(
            directory, day=day, release_id=release, online_store="sqlite", num_rows={"user_profiles": 2}, fingerprint=fingerprint
        )
        if live:
            store.point_at(generation)
        return generation

    return make


def test_ids_sort_by_when_they_were_begun_and_name_the_day(store, add) -> None:
    newer, older = add(DAY + timedelta(days=1)), add(DAY)
    assert [newer.generation_id, older.generation_id] == ["000001-20260302-01234567", "000002-20260301-01234567"]
    assert store.complete() == [newer, older]
    assert (older.as_of.isoformat(), older.day, store.live_day()) == ("2026-03-02T00:00:00+00:00", DAY, DAY)


def test_what_is_read_is_what_was_finished(store, add) -> None:
    made = add()
    assert store.live() == made
    assert made.created_at.tzinfo is not None


def test_begun_is_not_complete_and_the_mark_goes_first(store, add) -> None:
    live = add()
    begun = store.begin(day=DAY, fingerprint="f" * 16)
    assert store.complete() == [live]
    assert store.unfinished() == [begun]
    other = add(live=False)
    forget(other.directory)
    assert not store.is_complete(other)
    assert store.unfinished() == [begun, other.directory]


def test_a_torn_live_generation_is_never_taken_for_rubbish_and_keeps_its_day(store, add) -> None:
    live = add()
    forget(live.directory)
    assert store.unfinished() == []
    assert store.live_day() == DAY
    with pytest.raises(PublishError, match=r"generation 000001-20260301-01234567 of my-shop is live but its publication.json is gone"):
        store.live()


def test_nothing_published_and_a_file_of_somebody_else_are_said(store, tmp_path) -> None:
    expected = f"nothing of dataset my-shop is online in {tmp_path} yet; run `interest-graph run` first"
    for ask in (store.live, store.pointer_mark):
        with pytest.raises(PublishError, match=expected):
            ask()
    folder = tmp_path / "my-shop" / "feature_store"
    folder.mkdir(parents=True)
    (folder / "feature_store.yaml").write_text("project: my_shop\nregistry: {path: /data/registry.db}\n")
    assert store.live_id() is None
    with pytest.raises(PublishError, match=expected):
        store.live()


@pytest.mark.parametrize(
    ("releases", "superseded"),
    [
        ("abcd", "0"),  # the two before the live one, which are also those of the two releases before
        ("aaaa", "0"),
        ("abbbb", "1"),  # a's is the way back
        ("abcccc", "2"),
        ("abcdddd", "03"),  # of two releases before, not three
        ("abab", "0"),  # the newest of a is the third
    ],
)
def test_what_may_go(store, add, releases, superseded) -> None:
    made = [add(release=release) for release in releases]
    assert sorted(map(made.index, store.superseded())) == [int(place) for place in superseded]


def test_after_a_rollback_the_live_one_is_kept_though_it_is_old(store, add) -> None:
    made = [add(release=release) for release in "abcde"]
    store.point_at(made[0])
    assert made[0] not in store.superseded()
    assert [found.release_id for found in store.superseded()] == ["c", "b"]


def test_every_flip_changes_the_mark(store, add) -> None:
    made = [add() for _ in range(3)]
    marks = [store.pointer_mark()]
    for generation in made * 3:
        store.point_at(generation)
        marks.append(store.pointer_mark())
    assert all(before != after for before, after in pairwise(marks))


def test_a_reader_never_sees_half_a_flip(store, add) -> None:
    made = [add(release=name) for name in "abc"]
    seen, wrong, stop = set(), [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(store.live().generation_id)
            except Exception as error:  # noqa: BLE001  any failure of the reader is the finding
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        store.point_at(made[turn % 3])
    stop.set()
    reader.join()
    assert wrong == []
    assert 1 < len(seen) <= 3


def test_the_newest_of_a_release_and_those_that_are_kept(store, add) -> None:
    add(release="r1")
    newer, _ = add(release="r1"), add(DAY + timedelta(days=1), release="r2")
    assert store.newest_of("r1") == newer
    with pytest.raises(
        PublishError, match=r"no generation of release r3 is kept online; there are: r1 \(2026-03-01\), .*r2 \(2026-03-02\)"
    ):
        store.newest_of("r3")


def test_the_lock_ends_with_its_process(store, tmp_path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from feature_repo.generations import GenerationStore; from ml.config import DatasetHome\n"
        "with GenerationStore(DatasetHome(Path(sys.argv[1]), 'my-shop')).alone(): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with store.alone(), pytest.raises(PublishError, match="another publish or rollback of my-shop is running"), store.alone():
        raise AssertionError("two at once")

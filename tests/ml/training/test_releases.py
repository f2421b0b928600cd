"""A release is complete or it is an error; the pointer moves whole, and back."""

import threading
from datetime import date

import pytest

from ml.contracts.files import write_text
from ml.errors import ReleaseError
from ml.training.releases import ReleaseStore

MONDAY, TUESDAY = date(2026, 6, 1), date(2026, 6, 2)


@pytest.fixture
def store(tmp_path) -> ReleaseStore:
    return ReleaseStore(tmp_path / "releases")


@pytest.fixture
def add(store, tmp_path):
    def make(content: str, *, day: date = MONDAY):
        source = tmp_path / f"candidate-{content}"
        (source / "model").mkdir(parents=True, exist_ok=True)
        (source / "model" / "weights.safetensors").write_text(content)
        return store.add(source, day=day, made_from={"space_id": "s1"}, documents={"model_card.md": "# 卡片"})

    return make


def test_the_same_content_is_the_same_release(store, add) -> None:
    first, again, other = add("a"), add("a"), add("b")
    assert first.release_id == again.release_id != other.release_id
    assert len(store.releases()) == 2
    assert first.day == MONDAY
    assert first.made_from == {"space_id": "s1"}
    assert (first.directory / "model_card.md").read_text() == "# 卡片"


def test_nothing_is_live_before_a_promotion(store, add) -> None:
    assert store.current() is None
    release = add("a")
    store.promote(release.release_id, reason="better")
    assert store.current() == release


def test_rollback_returns_to_the_one_before(store, add) -> None:
    old, new = add("a"), add("b", day=TUESDAY)
    store.promote(old.release_id, reason="first")
    store.promote(new.release_id, reason="better")
    assert store.rollback() == old
    assert store.current() == old
    assert [line["release_id"] for line in store.promotions()] == [old.release_id, new.release_id, old.release_id]


def test_rollback_without_a_past_says_so(store, add) -> None:
    with pytest.raises(ReleaseError, match="no release to roll back to"):
        store.rollback()
    store.promote(add("a").release_id, reason="first")
    with pytest.raises(ReleaseError, match="no release to roll back to"):
        store.rollback()


def test_an_older_day_never_replaces_a_newer_one(store, add) -> None:
    old, new = add("a"), add("b", day=TUESDAY)
    store.promote(new.release_id, reason="first")
    with pytest.raises(ReleaseError, match="older than the live"):
        store.promote(old.release_id, reason="backfill")
    assert store.current() == new
    store.promote(old.release_id, reason="by hand", force=True)
    assert store.current() == old


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_a_torn_release_names_the_file(store, add, damage) -> None:
    release = add("a")
    weights = release.directory / "model" / "weights.safetensors"
    if damage == "change":
        weights.write_text("other")
    elif damage == "remove":
        weights.unlink()
    else:
        weights.with_name("extra.bin").write_text("x")
    with pytest.raises(ReleaseError, match=r"torn: model/(weights\.safetensors|extra\.bin)"):
        store.get(release.release_id)


def test_a_torn_release_is_listed_beside_the_whole_ones(store, add) -> None:
    whole, torn = add("a"), add("b", day=TUESDAY)
    (torn.directory / "model" / "weights.safetensors").write_text("other")
    found = store.inspect()
    assert found[whole.release_id] == ""
    assert "weights.safetensors" in found[torn.release_id]


def test_an_unfinished_release_is_no_release(store, add) -> None:
    release = add("a")
    (release.directory / "manifest.json").unlink()
    with pytest.raises(ReleaseError, match="never completed"):
        store.get(release.release_id)


def test_an_unknown_release_lists_those_there_are(store, add) -> None:
    release = add("a")
    with pytest.raises(ReleaseError, match=release.release_id):
        store.get("20260601-000000000000")
    with pytest.raises(ReleaseError, match="does not exist"):
        store.get("../../etc")


def test_a_crash_while_adding_leaves_nothing_to_see(store, add, tmp_path, monkeypatch) -> None:
    add("a")
    monkeypatch.setattr("ml.training.releases.sync_tree", lambda directory: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        add("b")
    assert len(store.releases()) == 1


def test_rolling_back_twice_goes_two_back_and_never_forward(store, add) -> None:
    first, second, third = add("a"), add("b", day=TUESDAY), add("c", day=TUESDAY)
    for release in (first, second, third):
        store.promote(release.release_id, reason="better")
    assert store.rollback() == second
    assert store.rollback() == first
    with pytest.raises(ReleaseError, match="no release to roll back to"):
        store.rollback()
    store.promote(third.release_id, reason="mended")
    assert store.rollback() == first


def test_rollback_to_a_release_by_name_leaves_all_after_it(store, add) -> None:
    first, second, third = add("a"), add("b", day=TUESDAY), add("c", day=TUESDAY)
    for release in (first, second, third):
        store.promote(release.release_id, reason="better")
    assert store.before() == second
    assert store.before(first.release_id) == first
    assert store.current() == third
    assert store.rollback(first.release_id) == first == store.current()
    assert store.rolled_back() == {second.release_id, third.release_id}
    # Asked again, as after a kill: there already, and nothing is written.
    assert store.rollback(first.release_id) == first
    assert len(store.promotions()) == 4
    with pytest.raises(ReleaseError, match=f"release {third.release_id} was not live before {first.release_id}; .*: none"):
        store.rollback(third.release_id)
    store.promote(third.release_id, reason="by hand")
    assert store.rolled_back() == {second.release_id}
    assert store.rollback() == first


def test_rollback_to_what_was_never_live_names_those_that_were(store, add) -> None:
    first, second, other = add("a"), add("b", day=TUESDAY), add("c", day=TUESDAY)
    for release in (first, second):
        store.promote(release.release_id, reason="better")
    with pytest.raises(ReleaseError, match=f"release {other.release_id} was not live before {second.release_id}; .*: {first.release_id}$"):
        store.rollback(other.release_id)
    assert store.current() == second


def test_a_release_promoted_twice_is_rolled_back_from_twice(store, add) -> None:
    first, second = add("a"), add("b", day=TUESDAY)
    for release in (first, second, first):
        store.promote(release.release_id, reason="by hand", force=True)
    assert store.rollback() == second
    assert store.rolled_back() == {first.release_id}
    assert store.rollback() == first


@pytest.mark.parametrize("way_out", ["rollback", "promote", "add again"])
def test_a_torn_live_release_can_be_left_or_mended(store, add, way_out) -> None:
    old, new, newer = add("a"), add("b", day=TUESDAY), add("c", day=TUESDAY)
    store.promote(old.release_id, reason="first")
    store.promote(new.release_id, reason="better")
    (new.directory / "model" / "weights.safetensors").write_text("torn")
    with pytest.raises(ReleaseError, match="torn"):
        store.current()
    if way_out == "rollback":
        assert store.rollback() == old == store.current()
    elif way_out == "promote":
        assert store.promote(newer.release_id, reason="whole") == newer == store.current()
    else:
        assert add("b", day=TUESDAY) == new == store.current()
        assert {path.name for path in store.root.iterdir() if path.is_dir()} == {old.release_id, new.release_id, newer.release_id}


def test_a_promotion_that_crashed_before_the_pointer_never_happened(store, add, monkeypatch) -> None:
    old, new = add("a"), add("b", day=TUESDAY)
    store.promote(old.release_id, reason="first")

    def crash_at_the_pointer(text, path):
        if path.name == "current":
            raise KeyboardInterrupt
        return write_text(text, path)

    monkeypatch.setattr("ml.training.releases.write_text", crash_at_the_pointer)
    with pytest.raises(KeyboardInterrupt):
        store.promote(new.release_id, reason="better")
    monkeypatch.undo()
    assert store.current() == old
    assert [line["release_id"] for line in store.promotions()] == [old.release_id]
    store.promote(new.release_id, reason="better")
    assert store.rollback() == old


def test_a_reader_never_sees_half_a_promotion(store, add) -> None:
    releases = [add(name) for name in "abc"]
    store.promote(releases[0].release_id, reason="first")
    known = {release.release_id: release for release in releases}
    seen, wrong, stop = set(), [], threading.Event()

    def read() -> None:
        reader = ReleaseStore(store.root)
        while not stop.is_set():
            try:
                live = reader.current()
                if live != known[live.release_id]:
                    wrong.append(live)
                seen.add(live.release_id)
            except Exception as error:  # noqa: BLE001  any failure of the reader is the finding
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        store.promote(releases[turn % 3].release_id, reason=f"turn {turn}")
    stop.set()
    reader.join()
    assert wrong == []
    assert len(seen) > 1

"""The next release takes over in one step, or not at all."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from ml.errors import ReleaseError
from serving.live import RETRY_AFTER, Live


class Pointer:
    """A pointer and the generations it may name; each load is counted, some fail."""

    def __init__(self) -> None:
        self.names, self.loaded, self.torn, self.warmed = "g1", [], set(), []

    def find(self):
        return SimpleNamespace(generation_id=self.names)

    def load(self, generation):
        self.loaded.append(generation.generation_id)
        if generation.generation_id in self.torn:
            raise ReleaseError(f"{generation.generation_id} is torn")
        return SimpleNamespace(name=generation.generation_id, warm=lambda: self.warmed.append(generation.generation_id))


@pytest.fixture
def pointer() -> Pointer:
    return Pointer()


def test_the_pointer_is_followed_and_each_generation_is_read_once(pointer) -> None:
    changes = []
    live = Live(find=pointer.find, load=pointer.load, on_change=lambda snapshot: changes.append(snapshot.name))
    assert live.current is None
    assert [live.refresh(), live.refresh()] == [True, False]
    assert live.current.name == "g1"
    pointer.names = "g2"
    assert live.refresh()
    assert (live.current.name, pointer.loaded, pointer.warmed, changes) == ("g2", ["g1", "g2"], ["g1", "g2"], ["g1", "g2"])


def test_a_generation_that_cannot_be_read_leaves_the_old_one_and_says_why(pointer) -> None:
    clock = SimpleNamespace(seconds=0.0)
    live = Live(find=pointer.find, load=pointer.load, seconds=lambda: clock.seconds)
    live.refresh()
    held = live.current
    pointer.names, pointer.torn = "g2", {"g2"}
    assert [live.refresh(), live.refresh()] == [False, False]
    assert live.current is held
    assert live.problem == "g2 is torn"
    assert pointer.loaded == ["g1", "g2"], "a torn generation is not read over and over"
    clock.seconds = RETRY_AFTER.total_seconds()
    assert not live.refresh()
    assert not live.refresh()
    assert pointer.loaded == ["g1", "g2", "g2"], "tried again, and again given a pause"
    pointer.torn, clock.seconds = set(), 2 * RETRY_AFTER.total_seconds()
    assert live.refresh()
    assert (live.current.name, live.problem) == ("g2", None)


def test_an_error_of_any_kind_leaves_the_old_one_and_the_pointer_is_still_followed(pointer) -> None:
    live = Live(find=pointer.find, load=pointer.load)
    live.refresh()
    quick = live._load

    def failing(_):
        raise OSError("disk gone")

    live._load, pointer.names = failing, "g2"
    assert not live.refresh()
    assert (live.current.name, live.problem) == ("g1", "OSError: disk gone")
    live._load, pointer.names = quick, "g3"
    assert live.refresh()
    assert live.current.name == "g3"


def test_the_way_back_is_followed_too(pointer) -> None:
    live = Live(find=pointer.find, load=pointer.load)
    live.refresh()
    pointer.names, pointer.torn = "g2", {"g2"}
    live.refresh()
    pointer.names = "g1"
    live.refresh()
    assert live.current.name == "g1"
    assert live.problem is None, "what is in force is what the pointer names: there is no problem any more"


def test_requests_go_on_while_the_next_one_is_read(pointer) -> None:
    live = Live(find=pointer.find, load=pointer.load)
    live.refresh()
    reading, may_end = threading.Event(), threading.Event()
    quick = pointer.load

    def slow(generation):
        reading.set()
        assert may_end.wait(10)
        return quick(generation)

    live._load = slow
    pointer.names = "g2"
    stop = threading.Event()
    follower = threading.Thread(target=live.follow, kwargs={"every": timedelta(milliseconds=5), "stop": stop})
    follower.start()
    assert reading.wait(10)
    assert live.current.name == "g1"
    may_end.set()
    while live.current.name != "g2":
        stop.wait(0.01)
    stop.set()
    follower.join(10)
    assert not follower.is_alive()

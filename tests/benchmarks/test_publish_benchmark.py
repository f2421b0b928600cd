"""The readers behind `benchmarks.publish`: they see a mixed answer, a missing row and an error, and say nothing of good ones."""

import threading

from benchmarks.publish import _Ours
from benchmarks.publishing.readers import Readings, read_once, read_until
from benchmarks.publishing.world import Size, new_world
from ml.config.pipeline import FeatureStoreConfig


def fail():
    raise RuntimeError("no answer")


def test_one_answer_is_judged() -> None:
    for answer, mixed, errors in (({3}, 0, []), ({3, 4}, 1, []), ({3, None}, 1, ["not found"]), ({None}, 0, ["not found"])):
        met = Readings()
        assert read_once(met, lambda answer=answer: answer) == answer
        assert (len(met.seconds), met.num_mixed, met.errors) == (1, mixed, errors)
    met = Readings()
    assert read_once(met, fail) == set()
    assert (met.seconds, met.errors) == ([], ["RuntimeError: no answer"])


def test_all_threads_ask_until_they_are_told_to_stop() -> None:
    stop, asking = threading.Event(), set()

    def ask():
        asking.add(threading.get_ident())
        if len(asking) == 3:
            stop.set()
        return {1}

    met = read_until(stop, ask, num_threads=3)
    assert len(asking) == 3
    assert len(met.seconds) >= 3
    assert (met.num_mixed, met.errors) == (0, [])


def test_the_world_says_its_day_in_every_row() -> None:
    with new_world(Size(num_users=50, num_items=3, num_publishes=2, num_materialized=0, num_kills=0)) as world:
        ours = _Ours(world, FeatureStoreConfig(online_store="sqlite"))
        ask = ours.asking()
        assert (len(world.asked), ask()) == (10, {0})
        ours.publish_days(world.size)()
        assert ask() == {2}

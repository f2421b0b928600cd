"""Rates and places: exact by the clock, bounded in memory."""

import pytest

from serving.access.limits import Slots, TokenBuckets, address_group, whole_seconds


def buckets(clock, *, rate=2.0, burst=3, max_callers=100):
    return TokenBuckets(rate=rate, burst=burst, max_callers=max_callers, clock=clock.monotonic)


def test_a_burst_then_the_rate(clock):
    rates = buckets(clock)
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.seconds += 0.25
    assert rates.take("a") == pytest.approx(0.25)
    clock.seconds += 0.25
    assert rates.take("a") == 0
    assert rates.take("a") == pytest.approx(0.5)
    # In the long run it is the rate, and being refused costs nothing.
    taken = 0
    for _ in range(10_000):
        clock.seconds += 0.01
        taken += rates.take("a") == 0
    assert taken == pytest.approx(200, abs=1)


def test_a_rest_gives_the_burst_again_and_no_more(clock):
    rates = buckets(clock)
    for _ in range(4):
        rates.take("a")
    clock.seconds += 3600
    assert [rates.take("a") == 0 for _ in range(4)] == [True, True, True, False]


def test_callers_do_not_share(clock):
    rates = buckets(clock, burst=1)
    assert rates.take("a") == 0
    assert rates.take("a") > 0
    assert rates.take("b") == 0


def test_memory_is_bounded_and_the_busy_are_remembered(clock):
    rates = buckets(clock, burst=1, max_callers=10)
    rates.take("busy")
    for number in range(1000):
        assert rates.take(f"passer-{number}") == 0
        assert rates.take(f"passer-{number}") > 0
        assert rates.take("busy") > 0
    assert len(rates) == 10


def test_places_are_given_back():
    slots = Slots(2)
    assert [slots.enter() for _ in range(3)] == [True, True, False]
    slots.leave()
    assert [slots.enter() for _ in range(2)] == [True, False]


def test_a_wait_is_never_told_too_short():
    assert [whole_seconds(wait) for wait in (0.001, 1.0, 1.001, 59.2)] == ["1", "1", "2", "60"]


def test_an_address_stands_for_its_network():
    assert address_group("192.0.2.7") == "192.0.2.7"
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff:1") == "2001:db8::/64"
    assert address_group("2001:db8:0:1::1") != address_group("2001:db8::1")
    assert address_group("") == ""

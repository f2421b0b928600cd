"""Days built in any order, twice, late or from an empty warehouse are the same bytes."""

import duckdb

from tests.transforms.dbt_home import DAY_2, DAY_3, FIRST_DAY, FIRST_EVENTS, NO_UNIT_TESTS, SECOND_EVENTS, Home, succeeded


def test_any_order_of_days_gives_the_bytes_of_one_range(raw_home: Home, built_home: Home) -> None:
    # The last day first: a new warehouse finds its history in the raw partitions, so it may be thrown away at any time.
    assert succeeded(raw_home.build(DAY_3, DAY_3, *NO_UNIT_TESTS))
    assert raw_home.hashes() == {name: digest for name, digest in built_home.hashes().items() if name.endswith(str(DAY_3))}
    assert succeeded(raw_home.build(FIRST_DAY, DAY_2, *NO_UNIT_TESTS))
    assert raw_home.hashes() == built_home.hashes()


def test_an_old_day_is_emptied_alone_and_restored_to_the_byte(own_home: Home) -> None:
    before = own_home.hashes()
    own_home.write_raw(DAY_2, events=[])
    assert succeeded(own_home.build(DAY_2, DAY_2, *NO_UNIT_TESTS))
    assert own_home.rows("interactions", DAY_2) == []
    # bob's mug was known through that day's events only.
    assert [row["item_id"] for row in own_home.rows("items", DAY_2)] == ["cup", "tea"]
    changed = {name for name, digest in own_home.hashes().items() if before[name] != digest}
    assert changed == {name for name in before if name.endswith(str(DAY_2))}

    own_home.write_raw(DAY_2, events=SECOND_EVENTS)
    assert succeeded(own_home.build(FIRST_DAY, DAY_3, *NO_UNIT_TESTS))
    assert own_home.hashes() == before


def test_days_before_a_start_that_moved_on_leave_the_warehouse(own_home: Home) -> None:
    # What they held lies in the new first partition now; both at once would count it twice.
    own_home.write_raw(DAY_2, events=[*FIRST_EVENTS, *SECOND_EVENTS])
    assert succeeded(own_home.build(DAY_2, DAY_3, *NO_UNIT_TESTS, first=DAY_2))
    with duckdb.connect(str(own_home.root / "warehouse.duckdb"), read_only=True) as connection:
        (days,) = connection.execute("SELECT array_agg(DISTINCT partition_day) FROM int_events_deduplicated").fetchall()
    assert days == ([DAY_2],)

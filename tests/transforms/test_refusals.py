"""What dbt refuses to build, what it says, and that the marts stay as they were."""

from datetime import date

import pytest

from tests.transforms.dbt_home import DAY_2, DAY_3, NO_UNIT_TESTS, Home, event


def test_a_raw_partition_that_was_never_written_is_named(own_home: Home) -> None:
    before = own_home.hashes()
    run = own_home.build(DAY_3, date(2024, 3, 5), *NO_UNIT_TESTS)
    assert run.returncode != 0
    assert "8 raw partition(s) are missing" in run.stdout
    assert "first raw_events/2024-03-04" in run.stdout
    assert "materialize the raw tables for every day from 2024-03-03 to 2024-03-05" in run.stdout
    assert own_home.hashes() == before


def test_no_mart_leaves_while_a_data_test_fails(own_home: Home) -> None:
    before = own_home.hashes()
    own_home.write_raw(DAY_2, events=[event("astray", "ann", "tea", "view", "2024-03-01T08:00:00")])
    run = own_home.build(DAY_2, DAY_2, *NO_UNIT_TESTS)
    assert run.returncode != 0
    assert "events_lie_in_their_own_days_partition" in run.stdout
    assert "marts stay as they were" in run.stdout
    assert own_home.hashes() == before


@pytest.mark.slow
def test_days_out_of_order_are_refused(raw_home: Home) -> None:
    run = raw_home.build(date(2024, 2, 29), DAY_2, *NO_UNIT_TESTS)
    assert run.returncode != 0
    assert "first_day <= start_day <= end_day; got 2024-03-01, 2024-02-29, 2024-03-02" in run.stdout

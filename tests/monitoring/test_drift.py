"""Drift on worlds where the answer is known, and on the bundled sample's simulated taste shift."""

import json
import socket
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import MonitoringConfig
from ml.contracts import CONTRACTS
from ml.days import as_of
from ml.errors import ConfigError
from monitoring.columns import WATCHED
from monitoring.drift import drift_verdict, measure_drift

CONFIG = MonitoringConfig()
LAST = date(2026, 3, 31)


def measured(marts, *, day=LAST, config=CONFIG):
    return measure_drift(**marts.arguments(), config=config, as_of=as_of(day))


def drifted(table):
    return {row["column_name"] for row in table.to_pylist() if row["has_drifted"]}


@pytest.fixture(scope="module")
def two_tastes(shop):
    """Marts from the number of interactions a day with `tea` items; the other half of the day's 100 go to `摄影`."""

    def build(teas_on, *, days=42, per_day=100):
        rng = np.random.default_rng(5)
        calendar = [(ago, LAST - timedelta(days=ago)) for ago in range(days)]
        rows = [
            {
                "day": day,
                "user_id": f"u{number % 30:02d}",
                "item_id": f"{'tea' if number < teas_on(ago) else '摄影'}-{number}",
                "weight": float(rng.integers(1, 4)),
                "num_events": 1,
                "last_event_at": as_of(day) - timedelta(hours=int(rng.integers(1, 25))),
                "first_event_at": as_of(day) - timedelta(hours=24),
            }
            for ago, day in calendar
            for number in range(per_day)
        ]
        activity = [
            {"day": day, "user_id": f"u{user:02d}", "num_events": int(rng.integers(1, 6)), "num_items": 2, "last_event_at": as_of(day)}
            for _, day in calendar
            for user in range(30)
        ]
        items = sorted({row["item_id"] for row in rows})
        taste = {item: item.split("-")[0] for item in items}
        vectors = np.array([[1.0, 0.0] if taste[item] == "tea" else [0.0, 1.0] for item in items])
        vectors = vectors + rng.normal(scale=0.05, size=vectors.shape)
        points = [{"interest_id": f"tag:{name}", "name": name, "kind": "tag", "aliases": [], "vector": [0.0]} for name in ("tea", "摄影")]
        carried = [{"item_id": item, "interest_id": f"tag:{taste[item]}", "weight": 1.0} for item in items]
        return shop.empty().change(
            interactions=table("interactions", rows),
            user_activity_daily=table("user_activity_daily", activity),
            items=table("items", [{"day": LAST, "item_id": item, "title": item, "category": taste[item], "tags": []} for item in items]),
            item_interests=table("item_interests", carried),
            interest_points=table("interest_points", points),
            item_embeddings=table("item_embeddings", [{"item_id": item, "vector": list(vectors[row])} for row, item in enumerate(items)]),
        )

    return build


def table(name, rows):
    """Rows of a contract, numbers and words that are left out being 0 and empty."""
    contract = CONTRACTS[name]
    blank = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): True}
    filled = [{column.name: row.get(column.name, blank.get(column.dtype)) for column in contract.columns} for row in rows]
    return contract.conform(pa.Table.from_pylist(filled, schema=pa.schema([field.with_nullable(True) for field in contract.schema])))


def test_a_change_of_taste_shows_in_category_interest_and_vectors(two_tastes):
    report = measured(two_tastes(lambda ago: 90 if ago < 7 else 50))
    assert {"item_category", "interest_tag", "component_1"} <= drifted(report.table)
    assert drifted(report.table).isdisjoint({"hour_of_day", "interaction_weight", "user_day_events"})
    passed, reason = drift_verdict(report.table, config=CONFIG)
    assert not passed
    assert "interests: 1 of 1 columns drifted (interest_tag" in reason


def test_steady_behaviour_does_not_drift(two_tastes):
    report = measured(two_tastes(lambda ago: 50))
    assert drifted(report.table) == set()
    assert drift_verdict(report.table, config=CONFIG)[0]


def test_what_differs_from_week_to_week_anyway_is_noise(two_tastes):
    """The same step in the last week, but the weeks before it jump as far: no drift."""
    jumpy = two_tastes(lambda ago: 80 if (ago // 7) % 2 == 0 else 50)
    row = next(row for row in measured(jumpy).table.to_pylist() if row["column_name"] == "item_category")
    assert row["score"] > CONFIG.min_drift_score
    assert not row["has_drifted"]


def test_the_score_is_the_distance_evidently_defines(two_tastes):
    from scipy.spatial.distance import jensenshannon

    row = next(
        row for row in measured(two_tastes(lambda ago: 90 if ago < 7 else 50)).table.to_pylist() if row["column_name"] == "item_category"
    )
    assert row["score"] == pytest.approx(jensenshannon([0.5, 0.5], [0.9, 0.1]), abs=1e-9)
    assert (row["num_reference"], row["num_current"], row["method"]) == (2800, 700, "jensenshannon")


def test_the_sample_shifts_in_its_last_week_and_not_before(shop, last_day):
    for ago in (20, 14, 7):
        passed, reason = drift_verdict(measured(shop, day=last_day - timedelta(days=ago)).table, config=CONFIG)
        assert passed, (ago, reason)
    report = measured(shop, day=last_day)
    passed, reason = drift_verdict(report.table, config=CONFIG)
    assert not passed
    assert "interest_category" in drifted(report.table)
    assert "of" in reason


def test_the_future_is_not_looked_at(two_tastes):
    day = LAST - timedelta(days=7)
    steady, shifted = two_tastes(lambda ago: 50), two_tastes(lambda ago: 90 if ago < 7 else 50)
    # The catalogue of `shifted` holds other item ids; what counts is that later rows change nothing.
    kept = [row["day"] <= day for row in shifted.interactions.to_pylist()]
    cut = shifted.change(interactions=shifted.interactions.filter(pa.array(kept)))
    assert measured(cut, day=day).table.equals(measured(shifted, day=day).table)
    assert drifted(measured(steady, day=day).table) == set()


def test_same_rows_in_another_order_give_the_same_table(shop, last_day):
    config = MonitoringConfig(max_sample=500)
    backwards = shop.change(
        interactions=shop.interactions.take(pa.array(range(shop.interactions.num_rows))[::-1]),
        item_interests=shop.item_interests.take(pa.array(range(shop.item_interests.num_rows))[::-1]),
    )
    first = measured(shop, day=last_day, config=config).table
    assert measured(backwards, day=last_day, config=config).table.equals(first)
    counts = {row["num_current"] for row in first.to_pylist() if row["dataset"] == "behaviour"}
    assert counts == {500}
    assert max(first.column("num_reference").to_pylist()) == 4 * 500


def test_empty_tables_are_a_finding(shop):
    report = measured(shop.empty())
    assert report.table.num_rows == len(WATCHED)
    assert set(report.table.column("score").to_pylist()) == {None}
    assert drifted(report.table) == set()
    passed, reason = drift_verdict(report.table, config=CONFIG)
    assert passed
    assert reason == "not compared: too few rows: 50 needed in the last 7 days and in 2 spans of 7 days before"
    assert "Not compared" in report.html


def test_too_little_history_or_a_quiet_week_is_a_finding(two_tastes):
    young = measured(two_tastes(lambda ago: 50, days=20)).table  # one whole span of 7 days, and 6 days, before the current one
    assert set(young.column("score").to_pylist()) != {None}, "6 days of 100 rows are span enough"
    younger = measured(two_tastes(lambda ago: 50, days=14)).table
    assert set(younger.column("score").to_pylist()) == {None}
    quiet = two_tastes(lambda ago: 50)
    kept = [row["day"] <= LAST - timedelta(days=7) for row in quiet.interactions.to_pylist()]
    rows = measured(quiet.change(interactions=quiet.interactions.filter(pa.array(kept)))).table.to_pylist()
    by_name = {row["column_name"]: row for row in rows}
    assert by_name["item_category"]["method"].startswith("too few rows")
    assert by_name["item_category"]["num_current"] == 0
    assert by_name["user_day_events"]["score"] is not None


def test_items_without_category_interest_or_vector_are_left_out(two_tastes, shop):
    bare = two_tastes(lambda ago: 50)
    empty = shop.empty()
    bare = bare.change(items=empty.items, item_interests=empty.item_interests, item_embeddings=empty.item_embeddings)
    scored = {row["column_name"] for row in measured(bare).table.to_pylist() if row["score"] is not None}
    assert scored == {"interaction_weight", "interaction_events", "hour_of_day", "user_day_events", "user_day_items", "user_day_sessions"}


def test_a_share_of_drifted_columns_below_the_limit_passes(two_tastes):
    found = measured(two_tastes(lambda ago: 90 if ago < 7 else 50)).table
    behaviour = found.filter(pa.array([row["dataset"] == "behaviour" for row in found.to_pylist()]))
    passed, reason = drift_verdict(behaviour, config=CONFIG)
    assert passed
    assert reason.startswith("behaviour: 1 of 7 columns drifted (item_category 0.")
    assert drift_verdict(behaviour, config=MonitoringConfig(max_drifted_share=1 / 7))[0] is False


def test_windows_too_short_to_know_noise_are_refused(shop):
    with pytest.raises(ConfigError, match="at least 2 x current_days = 28"):
        measured(shop, config=MonitoringConfig(current_days=14, reference_days=20))


def test_the_page_shows_the_columns_and_asks_the_network_for_nothing(two_tastes, monkeypatch):
    def refuse(*_):
        raise AssertionError("monitoring must not open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    report = measured(two_tastes(lambda ago: 50))
    assert "item_category" in report.html
    assert 'src="http' not in report.html


def test_naming_the_modules_does_not_import_evidently():
    code = "import sys, json; import monitoring.drift, monitoring.quality; print(json.dumps('evidently' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False

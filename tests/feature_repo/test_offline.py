"""What was known when: historical retrieval over partitions."""

from datetime import timedelta

import pandas as pd
import pytest

from feature_repo.publish import publish
from feature_repo.repository import dataset_definitions, open_store
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts import CONTRACTS
from ml.errors import MissingTableError

from .conftest import FIRST


@pytest.fixture
def store(world):
    """Two partitions, a vanished user, and the leavings of a writer that was killed."""
    config = FeatureStoreConfig(ttl_days=7)
    world.write(FIRST, users={"ann": "tea", "bob": "chess", "李雷": "摄影", "quiet": ""})
    world.write(FIRST + timedelta(days=1), users={"ann": "running", "李雷": "茶", "quiet": ""})
    (world.home.tables / "user_profiles" / ".2026-03-03.parquet.77.tmp").write_bytes(b"torn")
    publish(world.home, config=config, day=FIRST + timedelta(days=1))
    return open_store(world.home, config)


def asked(*rows):
    return pd.DataFrame({"user_id": [user for user, _ in rows], "event_timestamp": [pd.Timestamp(at, tz="UTC") for _, at in rows]})


def known(store, *rows, **options):
    job = store.get_historical_features(entity_df=asked(*rows), features=store.get_feature_service("user_profile"), **options)
    return job.to_arrow().to_pylist()


def test_each_moment_sees_what_was_known_then(store):
    found = known(
        store,
        ("ann", "2026-03-01T23:59"),  # before the first partition's end
        ("ann", "2026-03-02T00:00"),  # at it
        ("ann", "2026-03-02T23:00"),
        ("ann", "2026-03-03T00:00"),
        ("李雷", "2026-03-05"),
        ("quiet", "2026-03-05"),
    )
    assert [row["interest_names"] for row in found] == [None, ["tea"], ["tea"], ["running"], ["茶"], []]
    assert [row["num_interactions"] for row in found] == [None, 1, 1, 2, 2, 2]
    assert found[3]["embedding"] == [0.5, 2.0]


def test_unknown_entities_are_null_and_no_row_is_lost(store):
    found = known(store, ("nobody", "2026-03-03"), ("ann", "2020-01-01"), ("ann", "2026-03-03"))
    assert [(row["user_id"], row["interest_names"]) for row in found] == [("nobody", None), ("ann", None), ("ann", ["running"])]
    assert known(store, ("nobody", "2026-03-03"))[0]["release_id"] is None


def test_a_vanished_user_grows_stale(store):
    found = known(store, ("bob", "2026-03-08"), ("bob", "2026-03-09"), ("bob", "2026-03-09T00:00:01"))
    assert [row["interest_names"] for row in found] == [["chess"], ["chess"], None]  # 7 days of ttl after 2 March


def test_rows_computed_later_can_be_left_out(store):
    # Both rows were computed five minutes after their day's end.
    moments = [("ann", "2026-03-03T00:04"), ("ann", "2026-03-03T00:05")]
    assert [row["interest_names"] for row in known(store, *moments)] == [["running"], ["running"]]
    strict = known(store, *moments, filter_by_created_timestamp=True)
    assert [row["interest_names"] for row in strict] == [["tea"], ["running"]]


def test_two_views_join_in_one_answer_and_order_is_kept(store):
    frame = asked(("李雷", "2026-03-05"), ("ann", "2026-03-02T01:00")).assign(item_id=["i2", "nothing"])
    features = ["user_profiles:interest_names", "item_features:title", "recommendation_lists:item_ids"]
    found = store.get_historical_features(entity_df=frame, features=features, full_feature_names=True).to_df()
    assert found["user_id"].tolist() == ["李雷", "ann"]
    assert found["item_features__title"].tolist() == ["标题 i2", None]
    assert found["recommendation_lists__item_ids"].map(list).tolist() == [["i1", "i2"], ["i1", "i2"]]
    assert found["user_profiles__interest_names"].map(list).tolist() == [["茶"], ["tea"]]


def test_moments_without_a_zone_are_utc(store):
    frame = pd.DataFrame({"user_id": ["ann"], "event_timestamp": [pd.Timestamp("2026-03-03T00:00")]})
    features = store.get_feature_service("user_profile")
    assert store.get_historical_features(entity_df=frame, features=features).to_df()["num_interactions"].tolist() == [2]


def test_entities_without_a_moment_and_tables_without_partitions_are_named(store, make_world):
    with pytest.raises(ValueError, match="event_timestamp"):
        store.get_historical_features(entity_df=pd.DataFrame({"user_id": ["ann"]}), features=["user_profiles:release_id"])
    store.apply(dataset_definitions(make_world("empty").home, FeatureStoreConfig()).all())
    with pytest.raises(MissingTableError, match="user_profiles"):
        known(store, ("ann", "2026-03-03"))


def test_an_empty_partition_hides_nobody(store, world):
    from ml.contracts.store import TableStore

    contract = CONTRACTS["user_profiles"]
    TableStore(world.home.tables).write(contract, contract.empty(), day=FIRST + timedelta(days=2))
    assert known(store, ("ann", "2026-03-04T01:00"))[0]["interest_names"] == ["running"]


def test_why_we_do_not_use_feasts_own_file_store(world, store):
    """Feast 0.67 loses an entity row that is older than the first value; when it no longer does, `feature_repo.offline` can go."""
    from feast import FeatureStore

    theirs = FeatureStore(repo_path=str(world.home.feature_store))
    frame = asked(("ann", "2020-01-01"), ("ann", "2026-03-03"))
    found = theirs.get_historical_features(entity_df=frame, features=["user_profiles:release_id"]).to_df()
    assert found["event_timestamp"].dt.year.tolist() == [2026]

"""Recent feedback online: pushed, read by anybody with Feast alone, never set back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feast import FeatureStore

from feature_repo import push as push_module
from feature_repo.push import MAX_ITEMS, RecentFeedbackStore, RecentRow, push_folder
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(user: str, *liked: str, disliked: tuple[str, ...] = (), at: datetime | None = NOON) -> RecentRow:
    return RecentRow(user, liked, disliked, at)


@pytest.fixture
def home(tmp_path: Path) -> DatasetHome:
    return DatasetHome(tmp_path, "my-shop")


def test_what_is_pushed_is_what_is_read_also_by_feast_alone(home, config) -> None:
    store = RecentFeedbackStore(home, config=config)
    store.push([row("u1", "i2", "i1", disliked=("i3",)), row("用户", "商品")], now=NOON)
    assert store.get("u1") == row("u1", "i2", "i1", disliked=("i3",))
    assert store.get("用户") == row("用户", "商品")
    assert store.get("nobody") == row("nobody", at=None)
    plain = FeatureStore(repo_path=str(push_folder(home)))
    service = plain.get_feature_service("recent_feedback")
    found = plain.get_online_features(features=service, entity_rows=[{"user_id": "u1"}]).to_dict()
    assert (found["liked_item_ids"], found["disliked_item_ids"]) == ([["i2", "i1"]], [["i3"]])


def test_a_row_can_become_empty_and_long_ones_are_cut(home, config) -> None:
    store = RecentFeedbackStore(home, config=config)
    many = [f"i{n}" for n in range(MAX_ITEMS + 5)]
    store.push([row("u1", *many)], now=NOON)
    assert list(store.get("u1").liked_item_ids) == many[:MAX_ITEMS]
    store.push([row("u1", at=None)], now=NOON + timedelta(seconds=1))
    assert store.get("u1") == row("u1", at=None)


def test_an_older_push_sets_nothing_back(home, config) -> None:
    store = RecentFeedbackStore(home, config=config)
    store.push([row("u1", "new")], now=NOON)
    store.push([row("u1", "old"), row("u2", "old")], now=NOON - timedelta(seconds=1))
    assert [store.get(user).liked_item_ids for user in ("u1", "u2")] == [("new",), ("old",)]


def test_without_the_trigger_feasts_sqlite_store_goes_back(home, monkeypatch) -> None:
    """The hole the trigger closes: when this fails, Feast closed it and the trigger may go."""
    monkeypatch.setattr(push_module, "_guard", lambda *_, **__: None)
    store = RecentFeedbackStore(home, config=FeatureStoreConfig())
    store.push([row("u1", "new")], now=NOON)
    store.push([row("u1", "old")], now=NOON - timedelta(seconds=1))
    assert store.get("u1").liked_item_ids == ("old",)


def test_opening_again_keeps_what_is_there(home, config) -> None:
    RecentFeedbackStore(home, config=config).push([row("u1", "i1")], now=NOON)
    again = RecentFeedbackStore(home, config=config)
    assert again.get("u1") == row("u1", "i1")
    again.push([row("u1", "old")], now=NOON - timedelta(days=1))
    assert again.get("u1") == row("u1", "i1")

"""Feature rows against small worlds whose right answers are written down by hand."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.contracts import CONTRACTS
from ml.errors import LeakageError, ReleaseError, UnknownIdError
from ml.features.items import build_item_features
from ml.features.lists import build_recommendation_lists
from ml.features.profiles import build_user_profiles
from ml.ids import Vocabulary

DAY = date(2026, 3, 31)
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
CREATED = datetime(2026, 4, 1, 0, 5, tzinfo=UTC)
RELEASE = "release-1"


def table(name, rows):
    """Rows as dicts, columns that are left out filled with something of the right type."""
    contract = CONTRACTS[name]
    blank = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}
    filled = [{column.name: row.get(column.name, blank.get(column.dtype)) for column in contract.columns} for row in rows]
    for row in filled:
        for column in contract.columns:
            if row[column.name] is None and pa.types.is_list(column.dtype):
                row[column.name] = []
            if row[column.name] is None and column.name in {"first_event_at", "last_event_at", "first_seen_at", "last_seen_at"}:
                row[column.name] = datetime(2026, 3, 1, tzinfo=UTC)
            if row[column.name] is None and column.dtype == pa.date32():
                row[column.name] = DAY
    return contract.conform(pa.Table.from_pylist(filled, schema=contract.schema))


def at(day, hour=12):
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def visit(user, item, day, weight=1.0):
    return {
        "user_id": user,
        "item_id": item,
        "day": day,
        "weight": weight,
        "num_events": 1,
        "last_event_at": at(day),
        "first_event_at": at(day),
    }


def activity(user, day, sessions=1):
    return {"user_id": user, "day": day, "num_events": 1, "num_sessions": sessions, "last_event_at": at(day)}


POINTS = [{"interest_id": f"tag:{name}", "name": name, "kind": "tag", "num_items": 2} for name in ("摄影", "tea", "running", "chess")]


def profiles(**changes):
    old, edge, new = DAY - timedelta(days=28), DAY - timedelta(days=27), DAY
    arguments = {
        "user_activity_daily": table(
            "user_activity_daily", [activity("ann", old, 5), activity("ann", edge, 2), activity("ann", new, 3), activity("李雷", new)]
        ),
        "interactions": table("interactions", [visit("ann", "i1", old), visit("ann", "i2", edge), visit("ann", "i3", new, -1.0)]),
        "user_interests": table(
            "user_interests",
            [
                {"user_id": "ann", "interest_id": "tag:tea", "weight": 0.4, "recent_weight": 1.0},
                {"user_id": "ann", "interest_id": "tag:摄影", "weight": 1.0, "recent_weight": 0.2},
                {"user_id": "ann", "interest_id": "tag:chess", "weight": 0.4, "recent_weight": -0.5},
                {"user_id": "ann", "interest_id": "tag:running", "weight": -0.7, "recent_weight": 0.0},
            ],
        ),
        "interest_points": table("interest_points", POINTS),
        "release_users": Vocabulary("user", ["ann", "gone"]),
        "user_vectors_VD": np.array([[1, 2], [3, 4]], dtype=np.float32),
        "release_id": RELEASE,
        "as_of": AS_OF,
        "created_at": CREATED,
        "max_interests": 3,
        "cold_user_interactions": 2,
    } | changes
    return build_user_profiles(arguments.pop("user_activity_daily"), **arguments)


def test_profile_counts_names_and_windows():
    ann, lei = profiles().to_pylist()
    assert ann == {
        "user_id": "ann",
        "event_timestamp": AS_OF,
        "created_timestamp": CREATED,
        "release_id": RELEASE,
        "interest_names": ["摄影", "chess", "tea"],  # equal weights: by interest id
        "interest_weights": [1.0, 0.4, 0.4],
        "recent_interest_names": ["tea", "摄影"],
        "recent_interest_weights": [1.0, 0.2],
        "disliked_names": ["running"],
        "num_interactions": 3,
        "num_interactions_28d": 2,  # the 28th day back is in, the 29th is out
        "num_sessions_28d": 5,
        "days_since_last_event": 0,
        "is_cold_start": False,
        "embedding": [1.0, 2.0],
    }
    # She only searched: no interaction, no interest, unknown to the release, and yet a profile.
    assert lei["recent_interest_names"] == lei["recent_interest_weights"] == []
    assert (lei["user_id"], lei["interest_names"], lei["embedding"], lei["num_interactions"]) == ("李雷", [], [], 0)
    assert lei["is_cold_start"] is True


def test_fewer_interests_than_allowed_are_cut_by_strength():
    ann = profiles(max_interests=1).to_pylist()[0]
    assert ann["interest_names"] == ["摄影"]
    assert ann["disliked_names"] == ["running"]


def test_days_since_last_event_are_whole_days():
    quiet = table("user_activity_daily", [activity("ann", DAY - timedelta(days=9))])
    rows = profiles(user_activity_daily=quiet, interactions=CONTRACTS["interactions"].empty()).to_pylist()
    assert rows[0]["days_since_last_event"] == 9


def backwards(found):
    return found.take(pa.array(range(found.num_rows))[::-1])


def test_tables_do_not_depend_on_the_order_of_the_rows(monkeypatch):
    wanted = profiles(), features()
    forwards = table
    monkeypatch.setitem(globals(), "table", lambda name, rows: backwards(forwards(name, rows)))
    assert profiles().equals(wanted[0])
    assert features().equals(wanted[1])


def test_profiles_of_nobody():
    empty = {name: CONTRACTS[name].empty() for name in ("user_activity_daily", "interactions", "user_interests")}
    nobody = profiles(**empty, release_users=Vocabulary("user", []), user_vectors_VD=np.zeros((0, 0), np.float32))
    assert nobody.num_rows == 0
    assert nobody.schema == CONTRACTS["user_profiles"].schema


def test_profiles_without_a_release_have_empty_vectors():
    rows = profiles(release_users=Vocabulary("user", []), user_vectors_VD=np.zeros((0, 0), np.float32)).to_pylist()
    assert [row["embedding"] for row in rows] == [[], []]


def test_profiles_refuse_the_future():
    tomorrow = table("interactions", [visit("ann", "i1", DAY + timedelta(days=1))])
    with pytest.raises(LeakageError, match="interactions"):
        profiles(interactions=tomorrow)


def test_profiles_refuse_an_interest_without_a_point():
    with pytest.raises(UnknownIdError, match="tag:tea"):
        profiles(interest_points=table("interest_points", [row for row in POINTS if row["name"] != "tea"]))


def test_profiles_refuse_vectors_of_another_length():
    with pytest.raises(ValueError, match="2 user ids but 1 vectors"):
        profiles(user_vectors_VD=np.ones((1, 2), np.float32))


def popular(item, day, users, weight=1.0):
    return {"item_id": item, "day": day, "num_users": users, "total_weight": weight}


def features(**changes):
    arguments = {
        "items": table(
            "items",
            [
                {"item_id": "b", "title": "Tea pot", "category": "Home > Tea", "is_catalogued": True},
                {"item_id": "a", "title": "相机", "category": "摄影", "is_catalogued": True},
                {"item_id": "new", "title": "Chess set", "category": None},
            ],
        ),
        "item_popularity_daily": table(
            "item_popularity_daily",
            [
                popular("a", DAY - timedelta(days=40), 100),
                popular("a", DAY, 1, 0.5),
                popular("b", DAY, 2),
                popular("b", DAY - timedelta(days=1), 3, -2.0),
            ],
        ),
        "item_interests": table("item_interests", [{"item_id": "a", "interest_id": "tag:摄影", "weight": 1.0}]),
        "interest_points": table("interest_points", POINTS),
        "similar_items": table(
            "similar_items",
            [
                {"item_id": "a", "rank": 2, "similar_item_id": "new", "release_id": RELEASE},
                {"item_id": "a", "rank": 1, "similar_item_id": "b", "release_id": RELEASE},
            ],
        ),
        "release_items": Vocabulary("item", ["b", "a"]),
        "item_vectors_JD": np.array([[1, 0], [0, 1]], dtype=np.float32),
        "release_id": RELEASE,
        "as_of": AS_OF,
        "created_at": CREATED,
        "max_interests": 3,
    } | changes
    return build_item_features(arguments.pop("items"), **arguments)


def test_item_features_counts_ranks_and_neighbours():
    first, second, new = features().to_pylist()
    assert [first["item_id"], second["item_id"], new["item_id"]] == ["a", "b", "new"]
    assert (first["num_users_28d"], first["total_weight_28d"], first["popularity_rank"]) == (1, 0.5, 2)
    assert (second["num_users_28d"], second["total_weight_28d"], second["popularity_rank"]) == (5, -1.0, 1)
    assert (first["title"], first["category"], first["interest_names"]) == ("相机", "摄影", ["摄影"])
    assert first["similar_item_ids"] == ["b", "new"]
    assert (first["embedding"], second["embedding"]) == ([1.0, 0.0], [0.0, 1.0])
    # Nobody met it and the release never saw it: a row all the same.
    assert (new["num_users_28d"], new["popularity_rank"], new["embedding"], new["category"]) == (0, 3, [], "")


def test_item_features_of_an_empty_catalogue():
    names = ("items", "item_popularity_daily", "item_interests", "similar_items", "interest_points")
    nothing = features(**{name: CONTRACTS[name].empty() for name in names})
    assert nothing.num_rows == 0


def test_item_features_refuse_the_future_and_other_releases():
    with pytest.raises(LeakageError, match="item_popularity_daily"):
        features(item_popularity_daily=table("item_popularity_daily", [popular("a", DAY + timedelta(days=1), 1)]))
    with pytest.raises(ReleaseError, match=r"similar_items.*release-1, wanted release-2"):
        features(release_id="release-2")


def recommend(user, rank, item, release=RELEASE):
    return {"user_id": user, "rank": rank, "item_id": item, "score": 1.0 / rank, "reason": f"because {item}", "release_id": release}


def lists(rows, **changes):
    arguments = {
        "users": Vocabulary("user", ["ann", "李雷"]),
        "items": table("items", [{"item_id": "b", "title": "Tea pot"}, {"item_id": "a", "title": "相机"}]),
        "release_id": RELEASE,
        "as_of": AS_OF,
        "created_at": CREATED,
    } | changes
    return build_recommendation_lists(table("recommendations", rows), **arguments)


def test_lists_are_ranked_and_everybody_has_one():
    ann, lei = lists([recommend("李雷", 2, "a"), recommend("李雷", 1, "b")]).to_pylist()
    assert (ann["item_ids"], ann["titles"], ann["scores"], ann["reasons"]) == ([], [], [], [])
    assert lei["item_ids"] == ["b", "a"]
    assert lei["titles"] == ["Tea pot", "相机"]
    assert lei["scores"] == [1.0, 0.5]
    assert lei["reasons"] == ["because b", "because a"]


def test_lists_without_recommendations_or_users():
    assert lists([]).column("item_ids").to_pylist() == [[], []]
    assert lists([], users=Vocabulary("user", [])).num_rows == 0


def test_lists_refuse_strangers_unknown_items_and_other_releases():
    with pytest.raises(UnknownIdError, match="user: 'bob'"):
        lists([recommend("bob", 1, "a")])
    with pytest.raises(UnknownIdError, match="item: 'x'"):
        lists([recommend("ann", 1, "x")])
    with pytest.raises(ReleaseError, match="recommendations"):
        lists([recommend("ann", 1, "a", release="release-0")])

"""Feature look-ups: a mistake is told as one, a limit as one, and what is right passes."""

import json

import pytest

from serving.access.look_ups import look_up_check

KEYS = {"user_profile": "user_id", "item_features": "item_id"}
SERVICE = {"feature_service": "user_profile"}
FEATURES = {"item_features": {"title", "category"}}


def problem(wish):
    return look_up_check(KEYS.get, max_entities=3, features_of=FEATURES.get)(wish if isinstance(wish, bytes) else json.dumps(wish).encode())


@pytest.mark.parametrize(
    "wish",
    [
        {**SERVICE, "entities": {"user_id": ["a", "b", "c"]}},
        {**SERVICE, "entities": {"user_id": ["登山", 7], "more": ["x", "y"]}},
        {"features": ["item_features:title"], "entities": {"item_id": ["i"]}},
        {"feature_service": "unknown", "entities": {"any": ["a"]}},
        b"",
        b"[]",
        b"[" * 100_000,
        "text",
    ],
)
def test_what_is_right_and_what_only_feast_can_say_passes(wish):
    assert problem(wish) is None


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        ({"entities": {"user_id": ["a"]}}, "name what to look up"),
        ({"features": [], "entities": {"user_id": ["a"]}}, "name what to look up"),
        ({"features": ["title"], "entities": {"user_id": ["a"]}}, "name what to look up"),
        ({"features": [7], "entities": {"user_id": ["a"]}}, "name what to look up"),
        ({"feature_service": 7, "entities": {"user_id": ["a"]}}, "name what to look up"),
        (SERVICE, "an object with a list of ids"),
        ({**SERVICE, "entities": {}}, "an object with a list of ids"),
        ({**SERVICE, "entities": ["a"]}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": []}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": "a"}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": [None]}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": [True]}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": [{"a": 1}]}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": ["\ud800"]}}, "an object with a list of ids"),
        ({**SERVICE, "entities": {"user_id": ["a"], "x": ["b", "c"]}}, "of the same length"),
        ({**SERVICE, "entities": {"item_id": ["a"]}}, "lack the key user_id"),
        ({"features": ["item_features:title"], "entities": {"user_id": ["a"]}}, "lack the key item_id"),
        ({"features": ["item_features:titel"], "entities": {"item_id": ["a"]}}, "it holds category, title"),
        ({"features": ["item_features:\ud800"], "entities": {"item_id": ["a"]}}, "holds no such feature"),
        ({"features": ["item_features@v2:title"], "entities": {"item_id": ["a"]}}, "without @"),
        ({"features": ["item_features:title"] * 2, "entities": {"item_id": ["a"]}}, "named twice"),
    ],
)
def test_a_mistake_is_told_as_one(wish, what):
    found = problem(wish)
    assert (found.status, found.name) == (422, "invalid-request")
    assert what in found.detail


def test_entities_are_counted():
    found = problem({**SERVICE, "entities": {"user_id": ["a"] * 4}})
    assert (found.status, found.name) == (422, "too-many-entities")
    assert found.detail.startswith("4 entities were asked for, one request may ask for 3")

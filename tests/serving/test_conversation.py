"""What a turn is understood to say, and what all turns come to."""

from types import SimpleNamespace
from typing import ClassVar

import pytest

from serving.conversation import MOST_TURNS, MOST_UNWANTED_TEXTS, Conversation, Understood, understand

TITLES = {"i1": "Blue Tent", "i2": "Red Tent", "i3": "咖啡机"}


class Items:
    def __contains__(self, item_id: object) -> bool:
        return item_id in TITLES


class Catalogue:
    items = Items()
    title_I = tuple(TITLES.values())
    values: ClassVar = {
        "brand": {"lumora": "Lumora", "华为": "华为"},
        "category": {"camping": "Camping"},
        "tags": {"hiking": "hiking", "camping": "camping"},
    }

    def given(self, name, item):
        return {"brand": ("Lumora",), "category": ("Home", "Home > Camping"), "tags": ("hiking", "camping")}[name] if item < 2 else ()

    def positions(self, item_ids):
        import numpy as np

        return np.array([list(TITLES).index(item_id) for item_id in item_ids if item_id in TITLES], dtype=np.int64)


@pytest.fixture
def snapshot():
    return SimpleNamespace(
        catalogue=Catalogue(),
        items_by_title={"blue tent": "i1", "red tent": "i2", "咖啡机": "i3"},
        interests_by_name={"espresso": ("tag:espresso", "espresso"), "hiking": ("tag:hiking", "hiking"), "露营": ("tag:camp", "露营")},
    )


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        ("more like this", [("more", "item", "i2", "Red Tent")]),
        ("More like the second one, please", [("more", "item", "i1", "Blue Tent")]),
        ("less like Blue Tent", [("less", "item", "i1", "Blue Tent")]),
        ("not Lumora", [("less", "attribute", "brand", "Lumora")]),
        ("nothing from the brand lumora", [("less", "attribute", "brand", "Lumora")]),
        ("without Lumora but more espresso", [("less", "attribute", "brand", "Lumora"), ("more", "interest", "tag:espresso", "espresso")]),
        ("less of espresso", [("less", "interest", "tag:espresso", "espresso")]),
        ("more camping", [("more", "attribute", "category", "Camping")]),
        ("less hiking", [("less", "attribute", "tags", "hiking")]),
        ("不要华为的", [("less", "attribute", "brand", "华为")]),
        ("多来点露营，不要咖啡机", [("more", "interest", "tag:camp", "露营"), ("less", "item", "i3", "咖啡机")]),
        ("第一个不要", [("more", "text", "", "第一个不要")]),
        ("不要第二个", [("less", "item", "i1", "Blue Tent")]),
        ("a warm jacket", [("more", "text", "", "a warm jacket")]),
        ("notebooks", [("more", "text", "", "notebooks")]),
        ("not too expensive", [("less", "text", "", "too expensive")]),
        ("something warm, not Lumora", [("less", "attribute", "brand", "Lumora"), ("more", "text", "", "something warm")]),
        ("the ninth one", [("more", "text", "", "the ninth one")]),
        ("more warm jackets", [("more", "text", "", "warm jackets")]),
        ("more like the third one", [("more", "nothing", "", "third")]),
        ("not this brand", [("less", "attribute", "brand", "Lumora")]),
        ("nothing from this brand, please", [("less", "attribute", "brand", "Lumora")]),
        ("more of the second one's category", [("more", "attribute", "category", "Home > Camping")]),
        ("no more of this brand", [("less", "attribute", "brand", "Lumora")]),
        ("less of its brand", [("less", "text", "", "its brand")]),
        ("not these tags", [("less", "text", "", "these tags")]),
        ("less of that tag", [("less", "attribute", "tags", "hiking"), ("less", "attribute", "tags", "camping")]),
        ("not the third brand", [("less", "nothing", "", "third brand")]),
        ("不要这个牌子", [("less", "attribute", "brand", "Lumora")]),
        ("不要这个品牌的", [("less", "attribute", "brand", "Lumora")]),
        ("我不想要第二个的类别", [("less", "attribute", "category", "Home > Camping")]),
        ("不要华为牌子", [("less", "attribute", "brand", "华为")]),
        ("anything but hiking", [("less", "attribute", "tags", "hiking")]),
        ("I don't want this", [("less", "item", "i2", "Red Tent")]),
        ("I don’t like Lumora", [("less", "attribute", "brand", "Lumora")]),
        ("please don't show me hiking", [("less", "attribute", "tags", "hiking")]),
        ("Show me more like the second", [("more", "item", "i1", "Blue Tent")]),
        ("i want a warm jacket", [("more", "text", "", "i want a warm jacket")]),
        ("  ,, ", []),
        ("", []),
    ],
)
def test_a_turn_is_understood_by_names(snapshot, say, expected) -> None:
    found = understand(say, snapshot=snapshot, shown=["i2", "i1"])
    assert [(word.sense, word.kind, word.id, word.name) for word in found] == expected


def test_a_later_word_replaces_an_earlier_one_on_the_same_thing() -> None:
    talk = Conversation().then([Understood("less", "attribute", "brand", "Lumora"), Understood("more", "text", "", "tents")])
    talk = talk.then([Understood("more", "attribute", "brand", "Lumora"), Understood("more", "text", "", "jackets")])
    assert talk.attributes("less") == {}
    assert talk.attributes("more") == {"brand": ["Lumora"]}
    assert talk.text == "jackets"


def test_a_conversation_survives_its_token() -> None:
    talk = Conversation().then([Understood("less", "item", "i1", "Blue Tent"), Understood("more", "interest", "tag:espresso", "espresso")])
    assert Conversation.from_dict(talk.to_dict()) == talk
    assert talk.ids("item", "less") == ("i1",)
    assert talk.ids("interest", "more") == ("tag:espresso",)


def test_a_long_conversation_forgets_its_oldest_words() -> None:
    talk = Conversation()
    for number in range(MOST_TURNS + 5):
        talk = talk.then([Understood("less", "item", f"i{number}", "x")])
    assert len(talk.said) == MOST_TURNS
    assert talk.said[0].id == "i5"


def test_unwanted_texts_add_up_and_what_is_not_there_is_forgotten() -> None:
    talk = Conversation().then([Understood("less", "text", "", "coffee"), Understood("more", "text", "", "tents")])
    talk = talk.then([Understood("less", "text", "", "tea"), Understood("more", "nothing", "", "third")])
    assert talk.unwanted_texts == ("coffee", "tea")
    assert talk.text == "tents"
    assert len(talk.said) == 3


def test_no_more_texts_are_kept_away_from_than_a_turn_may_cost() -> None:
    said = [Understood("less", "text", "", f"text {number}") for number in range(MOST_UNWANTED_TEXTS + 5)]
    talk = Conversation().then([Understood("less", "item", "i1", "Blue Tent"), *said])
    assert talk.unwanted_texts == tuple(word.name for word in said[5:])
    assert talk.ids("item", "less") == ("i1",)


def test_a_state_stays_small_whatever_was_said() -> None:
    talk = Conversation()
    for number in range(MOST_TURNS + 5):
        talk = talk.then([Understood("less", "text", "", f"{number} " + "x" * 2000)])
    assert len(str(talk.to_dict())) < 30_000

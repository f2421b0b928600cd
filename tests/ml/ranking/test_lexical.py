"""Words of a question against items whose texts are literal: who is found, by how much at most, and what is said of it."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ml.contracts.behaviour import ITEMS
from ml.ids import Vocabulary
from ml.ranking.lexical import WordIndex
from ml.ranking.query import Preference, QueryIndex, answer_query

TEXTS = {
    "boot": ("Trail boots", "For long hikes in the rain."),
    "lamp": ("台灯", "家庭卧室，光线柔和。"),
    "mask": ("面膜", None),
    "tent": ("露营帐篷", "适合家庭露营，防雨。"),
}


def items(texts=TEXTS):
    rows = [{"item_id": item, "title": title, "text": text, "category": None, "tags": []} for item, (title, text) in texts.items()]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([ITEMS.schema.field(name) for name in ("item_id", "title", "text", "category", "tags")])
    )


@pytest.fixture
def make(tables):
    def made(texts=TEXTS, *, weight=0.5, embedded=None):
        return WordIndex.of(
            items(texts), item_embeddings=tables.item_embeddings({item: [1.0, 0.0] for item in embedded or texts}), weight=weight
        )

    return made


def shares(index, text):
    return dict(zip(index.items.ids.to_pylist(), index.say(text).share_I.tolist(), strict=True))


def test_chinese_words_find_their_item(make) -> None:
    found = shares(make(), "想买一顶露营用的帐篷")
    assert max(found, key=found.get) == "tent"
    assert found["mask"] == found["boot"] == 0


@pytest.mark.parametrize("text", ["", "   ", "?!。，", "the of and 的 了", "xyzzy 量子纠缠", "🙂", "\x00|"])
def test_nothing_without_a_word_that_the_catalogue_knows(make, text) -> None:
    assert not any(shares(make(), text).values())
    assert make().say(text).told(np.arange(4)) == [[], [], [], []]


@pytest.mark.parametrize("text", ["boot", "boot " * 500, "boot 帐篷 面膜 台灯 rain", "露营" * 3000, "BOOTS! boots? Boot's"])
def test_bounded_and_the_best_has_all(make, text) -> None:
    found = np.array(list(shares(make(), text).values()))
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() == 1


def test_order_case_and_width_of_words_are_no_matter(make) -> None:
    index = make()
    assert shares(index, "rain boot") == shares(index, "Boots, RAIN!") == shares(index, "ｂｏｏｔ ｒａｉｎ")
    assert shares(index, "rain boot")["boot"] == 1


def test_the_same_catalogue_in_another_order_gives_the_same_bits(make) -> None:
    turned = make(dict(reversed(TEXTS.items())))
    for text in ("露营 rain 家庭", "家庭", "long hikes"):
        assert turned.say(text).share_I.tobytes() == make().say(text).share_I.tobytes()


def test_a_word_of_few_items_says_more_than_one_of_many(make) -> None:
    found = shares(make(), "家庭帐篷")
    assert found["tent"] == 1 > found["lamp"] > 0


def test_empty_texts_and_catalogues(make, tables) -> None:
    assert not any(shares(make({"a": ("", None), "b": ("。", "")}), "boot").values())
    assert shares(make({"a": ("", None), "boot": ("boot", None)}), "boot") == {"a": 0, "boot": 1}
    empty = WordIndex.of(items({}), item_embeddings=tables.item_embeddings({}), weight=0.5)
    assert not len(empty.say("boot").share_I)


def test_items_are_those_that_have_embeddings(make) -> None:
    index = make(embedded=["other", "tent"])
    assert shares(index, "露营 boot") == {"other": 0, "tent": 1}


def test_what_is_told_stands_in_the_text_most_telling_first(make) -> None:
    said = make().say("适合家庭的露营帐篷 防雨")
    of_boot, of_lamp, of_mask, of_tent = said.told(np.arange(4))
    assert of_boot == of_mask == []
    assert of_lamp == ["家庭"]
    assert len(of_tent) == 3
    assert all(word in "".join(TEXTS["tent"]) for word in of_tent)
    assert "家庭" not in of_tent


@pytest.fixture
def ask(tables, make):
    # To an encoder that does not read the language, all items are about equally near.
    vectors = {"boot": [1.0, 0.0], "lamp": [0.99, 0.141], "mask": [1.0, 0.0], "tent": [0.98, 0.199]}

    def run(text, *, weight=0.5, **options):
        answer = answer_query(
            np.array([1.0, 0.0], dtype=np.float32),
            space_id="s",
            item_embeddings=tables.item_embeddings(vectors),
            interest_points=tables.interest_points({}),
            item_interests=tables.item_interests([]),
            words=make(weight=weight) if weight else None,
            k=4,
            text=text,
            **options,
        )
        assert json.loads(json.dumps(answer)) == answer
        return {row["item_id"]: row for row in answer}

    return run


def test_words_decide_where_meaning_hardly_does_and_the_reason_says_so(ask) -> None:
    assert next(iter(ask("露营帐篷", weight=0))) == "boot"
    found = ask("露营帐篷")
    assert next(iter(found)) == "tent"
    assert found["tent"]["score"] == pytest.approx(found["tent"]["similarity"] + 0.5)
    assert found["tent"]["reason"] == "按你说的找到：“露营”、“帐篷”"
    assert found["tent"]["path"] == []
    assert found["boot"]["reason"] == "Close in meaning to what you asked for"
    assert ask("Hiking boots")["boot"]["reason"] == 'Found by what you wrote: "boots"'
    assert ask("露营帐篷", language="en")["tent"]["reason"] == 'Found by what you wrote: "露营", "帐篷"'


@pytest.mark.parametrize("text", ["", "量子 xyzzy", "the"])
def test_a_question_without_a_known_word_is_answered_as_without_words(ask, text) -> None:
    assert ask(text) == ask(text, weight=0)


def test_a_taste_is_mixed_in_as_before(ask) -> None:
    taste = Preference(Vocabulary("item", ["mask"]), np.array([1.0], dtype=np.float32), share=0.3)
    assert next(iter(ask("露营帐篷", preference=taste))) == "tent"


def test_no_score_is_above_the_highest(tables, make) -> None:
    index = QueryIndex.of(
        item_embeddings=tables.item_embeddings({item: [1.0, 0.0] for item in TEXTS}),
        interest_points=tables.interest_points({"tag:tent": "帐篷"}),
        item_interests=tables.item_interests([("tent", "tag:tent", 1.0)]),
        words=make(weight=0.7),
    )
    answered = index.ask(np.array([1.0, 0.0], dtype=np.float32), space_id="s", text="帐篷")
    assert index.highest_score == pytest.approx(2.0)
    assert answered.score_I.max() == pytest.approx(index.highest_score)
    assert answered.explained(np.array([3]), language="auto").reasons == ["按你说的找到：“帐篷”"]


def test_words_of_other_items_are_refused(tables, make) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        QueryIndex.of(
            item_embeddings=tables.item_embeddings({"other": [1.0, 0.0]}),
            interest_points=tables.interest_points({}),
            item_interests=tables.item_interests([]),
            words=make(),
        )

"""Which texts are paired: by hand, from the past alone, and held out by title."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.config.pipeline import FinetuningConfig
from ml.contracts.behaviour import INTERACTIONS, USER_TEXTS
from ml.finetuning.pairs import PAIRS, TEST, TRAIN, VALIDATION, find_pairs, parts
from tests.ml.finetuning.worlds import AS_OF, sources, translated
from tests.ml.interests.catalogues import make_items

NOON = datetime(2026, 2, 10, 12, tzinfo=UTC)
ITEMS = make_items(
    [
        {"item_id": "hat", "title": "Wool hat", "text": "Warm.", "category": "Clothes", "tags": ["winter"]},
        {"item_id": "boot", "title": "Boot", "text": None, "tags": ["winter", "trail"]},
        {"item_id": "靴", "title": "登山靴", "text": "防水。"},
        {"item_id": "mute", "title": "Nothing"},
        {"item_id": "rumour", "title": "rumour", "text": "heard of", "is_catalogued": False},
    ]
)


def met(*rows: tuple[str, str, float, datetime]) -> pa.Table:
    """Interactions of user, item, weight, instant."""
    return pa.Table.from_pylist(
        [
            {
                "day": at.date(),
                "user_id": user,
                "item_id": item,
                "weight": weight,
                "num_events": 1,
                "first_event_at": at,
                "last_event_at": at,
            }
            for user, item, weight, at in rows
        ],
        schema=INTERACTIONS.schema,
    )


def said(*rows: tuple[str, str | None, str, datetime]) -> pa.Table:
    """Texts of user, item or None, words, instant."""
    return pa.Table.from_pylist(
        [
            {"day": at.date(), "event_id": f"e{n}", "user_id": user, "item_id": item, "event_type": "x", "text": text, "event_at": at}
            for n, (user, item, text, at) in enumerate(rows)
        ],
        schema=USER_TEXTS.schema,
    )


def found(kind: str, **tables: pa.Table) -> list[tuple[str, str]]:
    pairs = find_pairs(sources(ITEMS, **tables), config=FinetuningConfig(pair_kinds=(kind,)), as_of=AS_OF)
    assert pairs.schema == PAIRS
    assert set(pairs.column("kind").to_pylist()) <= {kind}
    return list(zip(pairs.column("anchor").to_pylist(), pairs.column("document").to_pylist(), strict=True))


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_titles_go_with_descriptions_and_with_what_is_given_beside_them() -> None:
    assert found("title_text") == [("Wool hat", "Warm."), ("登山靴", "防水。")]
    assert found("title_tags") == [("Boot", "winter, trail"), ("Wool hat", "Clothes\nwinter")]


def test_the_longest_sentences_go_with_the_rest_of_their_description() -> None:
    texts = ["Warm. Made of wool in the hills! Dry", "一句。防水又轻便的登山靴！秋天", "Only one sentence.", "", None, " .  . "]
    items = make_items([{"item_id": f"i{n}", "title": f"t{n}", "text": text} for n, text in enumerate(texts)])
    pairs = find_pairs(sources(items), config=FinetuningConfig(pair_kinds=("sentence_text",)), as_of=AS_OF)
    assert list(zip(pairs.column("anchor").to_pylist(), pairs.column("document").to_pylist(), strict=True)) == [
        ("Made of wool in the hills!", "Warm. Dry"),
        ("Warm.", "Made of wool in the hills! Dry"),
        ("一句。", "防水又轻便的登山靴!秋天"),
        ("防水又轻便的登山靴!", "一句。秋天"),
    ]


def test_a_search_goes_with_what_was_liked_next_within_half_an_hour() -> None:
    searches = said(
        ("a", None, " warm ", NOON),
        ("b", None, "boots", NOON),
        ("c", None, "late", NOON),
        ("d", None, "disliked", NOON),
        ("e", "hat", "a review of a hat", NOON),
        ("f", None, "before", NOON),
    )
    then = met(
        ("a", "hat", 1.0, after(29)),
        ("a", "boot", 1.0, after(29.5)),
        ("b", "boot", 2.0, after(0)),
        ("c", "hat", 1.0, after(31)),
        ("d", "hat", -1.0, after(1)),
        ("e", "boot", 1.0, after(1)),
        ("f", "hat", 1.0, after(-1)),
        ("b", "rumour", 2.0, after(0)),
    )
    assert found("search_item", user_texts=searches, interactions=then) == [
        ("boots", "Boot\nwinter, trail"),
        ("warm", "Wool hat\nClothes\nwinter\nWarm."),
    ]


def test_items_liked_one_after_the_other_on_one_day_are_a_pair() -> None:
    then = met(
        ("a", "hat", 1.0, after(0)),
        ("a", "boot", 1.0, after(60)),
        ("a", "靴", 1.0, after(24 * 60)),
        ("a", "hat", -1.0, after(24 * 60 + 1)),
        ("b", "hat", 1.0, after(61)),
        ("c", "hat", 1.0, after(0)),
        ("c", "boot", 1.0, after(9)),
    )
    assert found("basket", interactions=then) == [("Wool hat\nClothes\nwinter\nWarm.", "Boot\nwinter, trail")]


@pytest.mark.parametrize("kind", ["search_item", "basket"])
def test_nothing_of_users_from_the_cut_on_is_seen(kind) -> None:
    later = {
        "user_texts": said(("a", None, "warm", AS_OF)),
        "interactions": met(("a", "hat", 1.0, AS_OF + timedelta(minutes=1)), ("a", "boot", 1.0, AS_OF + timedelta(minutes=2))),
    }
    assert found(kind, **later) == []


def test_words_that_users_wrote_later_describe_nothing_yet() -> None:
    items = make_items([{"item_id": "a", "title": "A", "text": "so they say", "text_known_at": AS_OF}])
    config = FinetuningConfig(pair_kinds=("title_text",))
    assert find_pairs(sources(items), config=config, as_of=AS_OF).num_rows == 0
    assert find_pairs(sources(items), config=config, as_of=AS_OF + timedelta(seconds=1)).num_rows == 1


def test_empty_tables_give_no_pairs() -> None:
    assert find_pairs(sources(ITEMS.slice(0, 0)), config=FinetuningConfig(), as_of=AS_OF).num_rows == 0


def test_the_order_of_rows_shows_nowhere_and_the_newest_pairs_stay() -> None:
    then = met(*(("u", item, 1.0, after(number)) for number, item in enumerate(["hat", "boot", "hat", "靴", "boot"])))
    turned = then.take(pa.array([4, 2, 0, 3, 1]))
    config = FinetuningConfig(pair_kinds=("basket", "title_text"), max_pairs=1)
    shuffled = ITEMS.take(pa.array([4, 0, 2, 1, 3]))
    one, two = (
        find_pairs(sources(items, interactions=table), config=config, as_of=AS_OF) for items, table in ((ITEMS, then), (shuffled, turned))
    )
    assert one.equals(two)
    assert one.filter(pc.equal(one.column("kind"), "basket")).column("document").to_pylist() == ["Boot\nwinter, trail"]


def test_items_of_one_title_are_on_one_side_and_pairs_across_are_left_out() -> None:
    items = translated()
    twins = make_items([{"item_id": "x", "title": "Same", "text": "1"}, {"item_id": "y", "title": "same ", "text": "2"}])
    pairs = find_pairs(sources(twins), config=FinetuningConfig(pair_kinds=("title_text",)), as_of=AS_OF)
    assert len(set(parts(pairs, items=twins, held_out_share=0.3).tolist())) == 1
    then = met(*(("u", item, 1.0, after(number)) for number, item in enumerate(items.column("item_id").to_pylist())))
    pairs = find_pairs(sources(items, interactions=then), config=FinetuningConfig(), as_of=AS_OF)
    part_N = parts(pairs, items=items, held_out_share=0.2)
    assert set(part_N.tolist()) == {-1, TRAIN, VALIDATION, TEST}
    side = {item: part for item, part in zip(pairs.column("item_id").to_pylist(), part_N.tolist(), strict=True) if part >= 0}
    for row, part in zip(pairs.to_pylist(), part_N.tolist(), strict=True):
        if part >= 0 and row["anchor_item"] in side:
            assert side[row["anchor_item"]] == part
    shares = np.bincount(part_N[(part_N >= 0) & (np.asarray(pairs.column("kind")) == "title_text")]) / items.num_rows
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.12)


def test_titles_that_read_alike_are_on_one_side() -> None:
    spelled = ["Wool hat", "Ｗool hat", "wool  hat", "Wool\u200b hat", "<b>Wool</b> hat"]
    items = make_items([{"item_id": f"i{n}", "title": title, "text": f"text {n}"} for n, title in enumerate(spelled)])
    pairs = find_pairs(sources(items), config=FinetuningConfig(pair_kinds=("title_text",)), as_of=AS_OF)
    assert len(set(parts(pairs, items=items, held_out_share=0.3).tolist())) == 1


def test_what_is_described_like_a_held_out_item_is_not_trained_on() -> None:
    variants = [{"item_id": f"i{n}-{c}", "title": f"shirt {n} {c}", "text": f"cotton {n}"} for n in range(40) for c in "abc"]
    items = make_items(variants)
    pairs = find_pairs(sources(items), config=FinetuningConfig(pair_kinds=("title_text", "basket")), as_of=AS_OF)
    part_N = parts(pairs, items=items, held_out_share=0.15)
    trained, held_out = (set(np.asarray(pairs.column("document"))[np.isin(part_N, sides)]) for sides in ([TRAIN], [VALIDATION, TEST]))
    assert trained
    assert held_out
    assert not trained & held_out


def test_of_pairs_as_old_as_each_other_no_letter_and_no_script_is_preferred() -> None:
    titles = [f"{chr(97 + n % 26)}{n}" for n in range(200)] + [f"登山靴{n}" for n in range(200)]
    items = make_items([{"item_id": title, "title": title, "text": f"about {title}"} for title in titles])
    config = FinetuningConfig(pair_kinds=("title_text",), max_pairs=150)
    kept = find_pairs(sources(items), config=config, as_of=AS_OF).column("anchor").to_pylist()
    assert len(kept) == 150
    assert 50 < sum(title.startswith("登") for title in kept) < 100
    assert len({title[0] for title in kept}) > 20


def test_texts_are_looked_up_for_the_pairs_that_stay_alone(monkeypatch) -> None:
    then = met(*(("u", item, 1.0, after(number)) for number, item in enumerate(["hat", "boot", "靴"] * 50)))
    from ml.finetuning import pairs as module

    asked: list[int] = []
    real = module._text_of
    monkeypatch.setattr(module, "_text_of", lambda ids, **settings: (asked.append(len(ids)), real(ids, **settings))[1])
    config = FinetuningConfig(pair_kinds=("basket",), max_pairs=2)
    assert find_pairs(sources(ITEMS, interactions=then), config=config, as_of=AS_OF).num_rows == 2
    assert asked == [2, 2]


def test_an_item_stays_on_its_side_when_others_come() -> None:
    few, more = translated(5), translated(9)
    config = FinetuningConfig(pair_kinds=("title_text",))
    sides = []
    for items in (few, more):
        pairs = find_pairs(sources(items), config=config, as_of=AS_OF)
        sides.append(dict(zip(pairs.column("item_id").to_pylist(), parts(pairs, items=items, held_out_share=0.2).tolist(), strict=True)))
    assert sides[0].items() <= sides[1].items()

"""Names in texts: found where they are names, not where they are words, and meaning the right node."""

import json
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import KnowledgeConfig
from ml.contracts.behaviour import RAW_KNOWLEDGE
from ml.knowledge import linking
from ml.knowledge.disambiguation import read_company
from ml.knowledge.gazetteer import build_gazetteer
from ml.knowledge.linking import link_names
from ml.knowledge.triples import build_knowledge_graph
from ml.words.stream import read_stream
from ml.words.trie import NameTrie
from tests.ml.interests.catalogues import make_items, shuffled

LINKING = KnowledgeConfig()


def catalogue(text: str | None, *, titles=(), **attributes) -> pa.Table:
    """Items with these titles and one, `read`, with the text; `attributes` give each name an item of its own that bears it."""
    rows = [{"item_id": "read", "title": "Read", "text": text}]
    rows += [{"item_id": f"t{place:02d}", "title": title} for place, title in enumerate(titles)]
    for kind, names in attributes.items():
        rows += [{"item_id": f"{kind}{place}", "attributes": json.dumps({kind: name})} for place, name in enumerate(names)]
    return make_items(rows)


def linked(items: pa.Table) -> pa.Table:
    known = build_knowledge_graph(items, raw_knowledge=RAW_KNOWLEDGE.empty())
    return link_names(
        items.select(["item_id", "text"]),
        gazetteer=build_gazetteer(items, triples=known),
        company=read_company(items, triples=known),
        min_confidence=LINKING.min_confidence,
    )


def names_in(text: str, **known) -> set[str]:
    return set(linked(catalogue(text, **known)).column("name").to_pylist())


TRAPS = ["Her (2013)", "Heat (1995)", "Up", "It", "Others, The (2001)", "Game, The (1997)", "Signs", "M", "2012"]
PROSE = [
    "She lost her keys in the heat, and looked up to see signs of it. The others went on with the game.",
    "Her sister laughed. Heat filled the room. It was late; up in the hills nobody came. M. said so in 2012.",
    "HER SISTER LAUGHED WHILE HEAT FILLED THE ROOM AND IT WAS LATE AND NOBODY SAW SIGNS OF THE OTHERS OR THE GAME",
]


@pytest.mark.parametrize("text", PROSE)
def test_titles_made_of_words_are_no_names_in_prose(text) -> None:
    assert names_in(text, titles=TRAPS) == set()


def test_the_same_titles_between_quotation_marks_are_names() -> None:
    text = 'From the director of "Heat" and “Her”, and better than ‘The Others’.'
    assert names_in(text, titles=TRAPS) == {"Heat", "Her", "The Others"}


ENGLISH = [
    ("A film starring Tom Hanks and nobody else.", "Tom Hanks", True),
    ("TOM HANKS: a life. He was born in 1956, and so on, in small letters.", "Tom Hanks", True),
    ("it was tom hanks who said it", "Tom Hanks", False),
    ("She met Tom. Hanks was late.", "Tom Hanks", True),
    ("She met Tom, Hanks and two others.", "Tom Hanks", False),
    ("A night at the Ringside Club.", "Ring Side", False),
    ("The return of Spider-Man to the city.", "Spider Man", True),
    ("With AMELIE POULAIN in Paris, for once in small letters.", "Amélie Poulain", True),
    ("With Amélie Poulain in Paris.", "Amelie Poulain", True),
    ("They crossed the Atlantic to see Schindler’s List again.", "Schindler's List", True),
    ("They boarded the ship to Casablanca at night.", "Casablanca", True),
    ("It is told by Shaft John Ross at night.", "Shaft", False),
]


@pytest.mark.parametrize(("text", "name", "stands"), ENGLISH, ids=lambda value: str(value)[:24])
def test_english_names(text, name, stands) -> None:
    assert (name in names_in(text, person=[name])) is stands


CHINESE = [
    ("孤女（张译 饰）回到小镇。", "张译", True),
    ("孤女(张译饰)回到小镇。", "张译", True),
    ("国王菲利普回到城里。", "王菲", False),
    ("导演张艺谋的新作。", "张艺谋", True),
    ("今年汤姆•克鲁斯又有新片。", "汤姆·克鲁斯", True),
    ("山姆（里奥·杰斯普 饰）住在海边。", "杰斯", False),
    ("他在北京，天津也去过。", "京天", False),
    ("阳光照进了小屋。", "阳光", False),
    ("劳拉（Judi Dench 饰）的家。", "Judi Dench", True),
]


@pytest.mark.parametrize(("text", "name", "stands"), CHINESE, ids=lambda value: str(value)[:12])
def test_chinese_names(text, name, stands) -> None:
    assert (name in names_in(text, actor=[name])) is stands


def test_chinese_titles_need_their_marks_where_they_are_words() -> None:
    assert names_in("这是一个英雄的爱情故事。", titles=["英雄", "爱情"]) == set()
    assert names_in("继《英雄》之后的新作。", titles=["英雄", "爱情"]) == {"英雄"}


def test_words_without_a_capital_are_no_names() -> None:
    assert names_in("A tale of jealousy and “jealousy” alone.", keyword=["jealousy", "tale"]) == set()


def test_the_longest_name_wins_and_frees_what_it_does_not_cover() -> None:
    text = "It was Anna Maria Mozart Quartet who played."
    assert names_in(text, person=["Anna Maria", "Maria Mozart Quartet", "Mozart Quartet", "Anna"]) <= {"Maria Mozart Quartet"}
    assert names_in("上海市长江大桥在此。", place=["上海市", "上海市长江大桥", "长江大桥"]) == {"上海市长江大桥"}


def test_overlaps_are_resolved_as_a_loop_would() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        start = rng.integers(0, 30, size=12)
        end = start + rng.integers(1, 6, size=12)
        taken: set[int] = set()
        expected = []
        for place in sorted(range(12), key=lambda place: (start[place] - end[place], start[place], place)):
            words = set(range(start[place], end[place]))
            if not words & taken:
                taken |= words
                expected.append(place)
        assert linking._longest(start, end).tolist() == sorted(expected)


def test_the_trie_finds_what_a_search_finds() -> None:
    rng = np.random.default_rng(5)
    words = ["a", "b", "c", "d"]
    names = sorted({" ".join(rng.choice(words, size=rng.integers(1, 5))) for _ in range(40)})
    texts = [" ".join(rng.choice([*words, "x"], size=rng.integers(0, 30))) for _ in range(30)]
    stream = read_stream(pa.array(texts))
    found = NameTrie(read_stream(pa.array(names)), num_names=len(names)).find(stream)
    first = np.searchsorted(stream.text_T, np.arange(len(texts)))
    got = {
        (int(stream.text_T[start]), int(start - first[stream.text_T[start]]), names[name])
        for name, start in zip(found.name_M, found.start_M, strict=True)
    }
    expected = set()
    for number, text in enumerate(texts):
        split = text.split()
        for name in names:
            wanted = name.split()
            expected |= {(number, at, name) for at in range(len(split)) if split[at : at + len(wanted)] == wanted}
    assert got == expected
    assert len(found.name_M) == len(expected)


def two_named(text: str, *, tags=(), more=()) -> str:
    """Which of two nodes called Wang Lei a text means."""
    items = make_items([
        {"item_id": "read", "text": text, "tags": list(tags)},
        {"item_id": "a", "attributes": '{"actor": "Wang Lei"}', "tags": ["crime"]},
        {"item_id": "d", "attributes": '{"director": "Wang Lei"}', "tags": ["love"]},
        *more,
    ])  # fmt: skip
    (node,) = linked(items).column("node_id").to_pylist()
    return str(node)


def test_a_name_of_several_is_told_apart() -> None:
    assert two_named("A story starring Wang Lei at last.") == "actor:wang lei"
    assert two_named("A story directed by Wang Lei at last.") == "director:wang lei"
    assert two_named("A story of Wang Lei at last.", tags=["love"]) == "director:wang lei"
    assert two_named("A story of Wang Lei at last.", tags=["crime"]) == "actor:wang lei"
    several = [{"item_id": f"d{place}", "attributes": '{"director": "Wang Lei"}'} for place in range(3)]
    assert two_named("A story of Wang Lei at last.", more=several) == "director:wang lei"
    assert two_named("A story of Wang Lei at last.") == "actor:wang lei"


def test_a_first_name_in_many_stories_is_no_title() -> None:
    rows = [{"item_id": f"i{place}", "text": f"One night he meets Laura at house number {place}."} for place in range(12)]
    assert linked(make_items([{"item_id": "film", "title": "Laura (1944)"}, *rows])).num_rows == 0
    assert linked(make_items([{"item_id": "film", "title": "Laura (1944)"}, *rows[:1]])).num_rows == 1


def test_neither_order_nor_blocks_matter(monkeypatch) -> None:
    texts = ["With Tom Hanks.", "张艺谋导演的《英雄》。", None, "", "By Tom Hanks, and Her.", "it is heat"] * 3
    rows = [{"item_id": f"i{place:02d}", "text": text} for place, text in enumerate(texts)]
    rows += [{"item_id": "p1", "attributes": '{"actor": "Tom Hanks"}'}, {"item_id": "p2", "title": "英雄"}]
    items = make_items(rows)
    expected = linked(items)
    assert expected.num_rows == 9
    assert linked(shuffled(items, seed=4)).equals(expected)
    monkeypatch.setattr(linking, "BLOCK", 1)
    assert linked(items).equals(expected)


def test_nothing_to_read_and_nothing_to_look_for() -> None:
    assert linked(make_items([])).num_rows == 0
    assert linked(catalogue(None, titles=["Casablanca"])).num_rows == 0
    assert linked(catalogue("Only words here.")).num_rows == 0
    assert linked(catalogue("\u200b \ufeff !!! 《》 “” \n\n")).num_rows == 0


def test_one_huge_text() -> None:
    assert names_in("word " * 200_000 + "and Tom Hanks " + "好" * 100_000, person=["Tom Hanks"]) == {"Tom Hanks"}


def graph(rows) -> list[tuple[str, str, str, str]]:
    found = build_knowledge_graph(make_items(rows), raw_knowledge=RAW_KNOWLEDGE.empty(), config=LINKING)
    mentions = [row for row in found.to_pylist() if row["source"] == "text"]
    return [(row["head"], row["relation"], row["tail"], row["tail_kind"]) for row in mentions]


def test_mentions_are_triples() -> None:
    rows = [
        {"item_id": "a", "title": "Alien Harvest (1979)", "attributes": '{"actor": "Sigrid Weaver"}'},
        {"item_id": "b", "text": "Sigrid Weaver is back after Alien Harvest."},
    ]
    assert graph(rows) == [("b", "mentions", "a", "item"), ("b", "mentions", "actor:sigrid weaver", "actor")]


def test_what_is_known_and_what_users_wrote_is_no_mention() -> None:
    known = {
        "item_id": "a",
        "title": "Alien Harvest",
        "attributes": '{"actor": "Sigrid Weaver"}',
        "text": "Alien Harvest with Sigrid Weaver.",
    }
    assert graph([known]) == []
    written = {"item_id": "b", "text": "I love Sigrid Weaver.", "text_known_at": datetime(2026, 1, 1, tzinfo=UTC)}
    assert graph([known, written]) == []


def test_many_names_and_texts_take_seconds() -> None:
    """A tenth of the size that must hold; the benchmark's page has the whole."""
    rng = np.random.default_rng(0)
    syllables = np.array(["ba", "do", "ki", "lu", "mer", "nos", "pel", "ran", "sol", "tur", "vin", "zek"])
    words = np.array(sorted({"".join(rng.choice(syllables, 3)) for _ in range(2000)}))
    names = [f"{a.title()} {b.title()}" for a, b in zip(rng.choice(words, 10_000), rng.choice(words, 10_000), strict=True)]
    texts = [f"{' '.join(rng.choice(words, 40))} with {names[place]} at last" for place in range(10_000)]
    rows = [
        {"item_id": f"i{place:05d}", "text": text, "attributes": json.dumps({"actor": names[place // 2]})}
        for place, text in enumerate(texts)
    ]
    items = make_items(rows)
    started = time.process_time()
    assert linked(items).num_rows >= 5_000
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("<p>A story by <b>Alfred</b> <i>Hitchcock</i> &amp; others</p>", True),
        ("A story by Alf\u200bred Hitchcock and others", True),
        ('<a href="x" title="Alfred Hitchcock">click</a>', False),
    ],
)
def test_a_graph_is_made_of_what_a_reader_sees(text, is_found) -> None:
    graph = build_knowledge_graph(
        catalogue(text, director=["Alfred Hitchcock"]), raw_knowledge=RAW_KNOWLEDGE.empty(), config=LINKING
    ).to_pylist()
    assert any(row["head"] == "read" and row["tail_name"] == "Alfred Hitchcock" for row in graph) == is_found

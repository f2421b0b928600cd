"""A catalogue with some labels taken out of everything that is read from it, and the questions that ask for them.

`removed`: the label stands nowhere any more, nor does any node of its name or a near spelling of it. `half`: half of its
items keep it and are not asked for, the other half have lost it. `untouched`: nothing is taken out.
Shapes: Q questions, I items, D dimension.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.asking.catalogues import SEPARATOR, Catalogue, Label
from ml.config.pipeline import GraphConfig, InterestConfig, KnowledgeConfig
from ml.contracts.behaviour import INTERACTIONS
from ml.contracts.meaning import USER_INTERESTS
from ml.graph.build import build_interest_graph
from ml.graph.interest_graph import InterestGraph
from ml.ids import BoolArray, FloatArray, Vocabulary
from ml.interests.naming import SEPARATOR as THEME_SEPARATOR
from ml.interests.points import find_interests
from ml.knowledge.triples import build_knowledge_graph
from ml.text.cache import EmbeddingCache, embed
from ml.text.encoder import Encoder
from ml.text.items import embed_items

PROTOCOLS = ("removed", "half", "untouched")
LATER = datetime(2100, 1, 1, tzinfo=UTC)
# Share of the runs of three letters that two spellings of one name have in common.
NEAR_SPELLING = 0.6
HAN = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True)
class World:
    """Tables of a catalogue that does not know its hidden labels, and the questions; `hidden_QI` are items not asked for."""

    items: pa.Table
    item_embeddings: pa.Table
    interest_points: pa.Table
    item_interests: pa.Table
    knowledge_graph: pa.Table
    graph: InterestGraph
    texts: tuple[str, ...]
    label_Q: np.ndarray
    vectors_QD: FloatArray
    relevant_QI: BoolArray
    hidden_QI: BoolArray
    space_id: str


def build_world(
    catalogue: Catalogue, *, labels: Sequence[Label], protocol: str, encoder: Encoder, cache: EmbeddingCache, seed: int
) -> World:
    """Every table made again from what is left of the catalogue."""
    asked = asked_items(labels, protocol=protocol, seed=seed)
    hidden = {} if protocol == "untouched" else {name: asked[label.name] for label in labels for name in label.names}
    items = without_labels(catalogue.items, where=catalogue.where, hidden=hidden)
    embeddings, _ = embed_items(items, encoder=encoder, cache=cache)
    points, about = find_interests(items, item_embeddings=embeddings, config=InterestConfig(), language=catalogue.language)
    triples = build_knowledge_graph(items, raw_knowledge=catalogue.raw_knowledge, config=KnowledgeConfig())
    if protocol == "removed":
        points, about, triples = without_names(points, about, triples, names=sorted(hidden))
    texts = [(text, number) for number, label in enumerate(labels) for text in label.texts]
    label_Q, known = np.array([number for _, number in texts]), Vocabulary("item", items.column("item_id"))
    return World(
        items=items,
        item_embeddings=embeddings,
        interest_points=points,
        item_interests=about,
        knowledge_graph=triples,
        graph=_graph(known, about=about, triples=triples),
        texts=tuple(text for text, _ in texts),
        label_Q=label_Q,
        vectors_QD=embed([text for text, _ in texts], encoder=encoder, cache=cache, kind="query").vectors_ND,
        relevant_QI=_marks([asked[label.name] for label in labels], known)[label_Q],
        hidden_QI=_marks([label.item_ids - asked[label.name] for label in labels], known)[label_Q],
        space_id=encoder.space.space_id,
    )


def without_names(points: pa.Table, about: pa.Table, triples: pa.Table, *, names: Sequence[str]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Interest points, what items are about, and triples, without the interests and entities of these names."""
    near = near_names(points.column("name").to_pylist(), names, kinds=points.column("kind").to_pylist())
    points = points.filter(pa.array(~near))
    about = about.filter(pc.is_in(about.column("interest_id"), value_set=points.column("interest_id").combine_chunks()))
    is_entity = np.asarray(pc.equal(triples.column("tail_type"), "entity"), dtype=np.bool_)
    gone = triples.filter(pa.array(near_names(triples.column("tail_name").to_pylist(), names) & is_entity)).column("tail")
    ends = [pc.is_in(triples.column(end), value_set=gone.combine_chunks()) for end in ("head", "tail")]
    return points, about, triples.filter(pc.invert(pc.or_(*ends)))


def _graph(items: Vocabulary, *, about: pa.Table, triples: pa.Table) -> InterestGraph:
    return build_interest_graph(
        INTERACTIONS.empty(),
        items=items,
        users=Vocabulary("user", []),
        item_interests=about,
        user_interests=USER_INTERESTS.empty(),
        knowledge_graph=triples,
        config=GraphConfig(),
        as_of=LATER,
    )


def asked_items(labels: Sequence[Label], *, protocol: str, seed: int) -> dict[str, frozenset[str]]:
    """The items each label is taken from and asked for."""
    if protocol != "half":
        return {label.name: label.item_ids for label in labels}
    rng = np.random.default_rng(seed)
    return {label.name: frozenset(rng.permutation(sorted(label.item_ids))[: len(label.item_ids) // 2].tolist()) for label in labels}


def without_labels(items: pa.Table, *, where: str, hidden: Mapping[str, Collection[str]]) -> pa.Table:
    """Items whose column `where` has lost the names that are hidden of them."""
    if not where:
        return items
    column, _, attribute = where.partition(":")
    column = "attributes" if column == "attribute" else column
    left = [
        _left(value, attribute, [name for name, ids in hidden.items() if item_id in ids])
        for item_id, value in zip(items.column("item_id").to_pylist(), items.column(column).to_pylist(), strict=True)
    ]
    return items.set_column(items.column_names.index(column), items.schema.field(column), pa.array(left, items.schema.field(column).type))


def _left(value: object, attribute: str, names: Collection[str]) -> object:
    folded = {name.casefold() for name in names}
    if not folded or value is None:
        return value
    if attribute:
        given = json.loads(str(value))
        return json.dumps({**given, attribute: [one for one in given[attribute] if one.casefold() not in folded]}, ensure_ascii=False)
    if isinstance(value, str):
        return SEPARATOR.join(level for level in value.split(SEPARATOR) if level.casefold() not in folded) or None
    return [tag for tag in value if tag.casefold() not in folded]  # type: ignore[attr-defined]


def near_names(found: Sequence[str], names: Sequence[str], *, kinds: Sequence[str] = ()) -> BoolArray:
    """Which of `found` are one of `names`, hold one as words, or nearly spell one; a theme's name is a list of words, each looked at."""
    parts = [one.split(THEME_SEPARATOR) if kinds and kinds[place] == "theme" else [one] for place, one in enumerate(found)]
    distinct = sorted({part for some in parts for part in some})
    is_near = dict(zip(distinct, _holds(distinct, names) | _nearly_spells(distinct, names), strict=True))
    return np.array([any(is_near[part] for part in some) for some in parts], dtype=np.bool_)


def _holds(found: Sequence[str], names: Sequence[str]) -> BoolArray:
    """Which hold one of `names`: as words, or anywhere where it is Chinese."""
    wanted = "|".join(rf"{re.escape(_spaced(name))}" if HAN.search(name) else rf"\b{re.escape(_spaced(name))}\b" for name in names)
    return np.array([re.search(wanted, _spaced(one)) is not None for one in found], dtype=np.bool_)


def _nearly_spells(found: Sequence[str], names: Sequence[str]) -> BoolArray:
    """Which share most of their runs of three letters with one of `names`, spaces and a last s aside."""
    counter = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, dtype=np.float64)
    runs_FW = counter.fit_transform([_squeezed(one) for one in (*found, *names)])
    size_F = np.asarray(runs_FW.sum(axis=1)).ravel()
    shared_FN = (runs_FW[: len(found)] @ runs_FW[len(found) :].T).toarray()
    either_FN = size_F[: len(found), None] + size_F[None, len(found) :] - shared_FN
    near: BoolArray = (shared_FN / np.maximum(either_FN, 1.0) >= NEAR_SPELLING).any(axis=1)
    return near


def _spaced(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def _squeezed(name: str) -> str:
    return f"^{_spaced(name).replace(' ', '').removesuffix('s')}$"


def _marks(lists: Sequence[Collection[str]], items: Vocabulary) -> BoolArray:
    marks = np.zeros((len(lists), len(items)), dtype=np.bool_)
    for row, ids in enumerate(lists):
        place, is_known = items.find(sorted(ids))
        marks[row, place[is_known]] = True
    return marks

"""One release and the day it serves, in memory: all that a request needs, read once, never changed.

A request takes one snapshot and keeps it, so an answer never mixes two releases. Which one is in force is `serving.live`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.config import PipelineConfig
from ml.contracts import CONTRACTS
from ml.contracts.outputs import SIMILAR_ITEMS, SIMILAR_USERS
from ml.contracts.store import TableStore
from ml.days import as_of
from ml.graph.interest_graph import InterestGraph
from ml.graph.table import graph_from_table
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.names import normalise_names
from ml.ranking.attribution import Attributor
from ml.ranking.explain import Explainer
from ml.ranking.item_facts import ItemFacts
from ml.ranking.lexical import WordIndex
from ml.ranking.names import Names
from ml.ranking.query import Knowledge, QueryIndex
from ml.ranking.rungs import Rung, interest_rung
from ml.ranking.wording import Language
from ml.text.encoder import Encoder
from ml.training.releases import ReleaseStore
from ml.training.releasing import NO_RELEASE, model_of
from ml.unit_rows import unit_rows
from serving.catalogue import Catalogue
from serving.taste import Taste

# Finds the encoder that read a day's texts.
OpenEncoder = Callable[[date], Encoder]


@dataclass(frozen=True)
class Snapshot:
    """A day's tables and the release in force on it; `taste` is None where no release was in force."""

    release_id: str
    day: date
    language: Language
    config: PipelineConfig
    catalogue: Catalogue
    taste: Taste | None
    interests: Rung
    query: QueryIndex
    graph: InterestGraph
    names: Names
    items: pa.Table
    interest_points: pa.Table
    user_interests: pa.Table
    user_texts: pa.Table
    neighbours: "Neighbours"
    open_encoder: OpenEncoder

    @property
    def as_of(self) -> datetime:
        """The end of the day that the answers were computed for, UTC."""
        return as_of(self.day)

    @property
    def knows_until(self) -> datetime:
        """The moment up to which the release knows what people did."""
        return self.taste.as_of if self.taste else self.as_of

    @cached_property
    def encoder(self) -> Encoder:
        """What read the day's texts; loaded when a text is first asked, or by `warm`."""
        return self.open_encoder(self.day)

    def places(self, items: Vocabulary) -> tuple[IntArray, BoolArray]:
        """Where items of another vocabulary stand in the catalogue, and which do; found once for all requests."""
        if items not in self._places:
            self._places[items] = self.catalogue.items.find(items.ids)
        return self._places[items]

    @cached_property
    def _places(self) -> dict[Vocabulary, tuple[IntArray, BoolArray]]:
        return {}

    @cached_property
    def vectors_ID(self) -> FloatArray:
        """Unit vectors of the catalogue's items: the release's, else those of their texts; zeros for an item without, shape [I, D]."""
        known, given_JD = (self.taste.items, self.taste.vectors_ID) if self.taste else (self.query.items, self.query.vectors_ID)
        vectors_ID = np.zeros((len(self.catalogue), given_JD.shape[1]), dtype=np.float32)
        place, is_there = self.places(known)
        vectors_ID[place[is_there]] = unit_rows(given_JD)[is_there]
        return vectors_ID

    @cached_property
    def items_by_title(self) -> Mapping[str, str]:
        """Item id by title in its normal spelling, the most popular where several have it."""
        keys = normalise_names(pa.array(self.catalogue.title_I, pa.string())).to_pylist()
        ids, popularity_I = self.catalogue.items.ids.to_pylist(), self.catalogue.popularity_I
        return {keys[item]: ids[item] for item in np.argsort(popularity_I, kind="stable").tolist()}

    @cached_property
    def interests_by_name(self) -> Mapping[str, tuple[str, str]]:
        """Id and name of an interest point by its name in its normal spelling."""
        names = self.query.points.names
        keys, ids = normalise_names(names).to_pylist(), self.query.points.interests.ids.to_pylist()
        return dict(zip(keys, zip(ids, names.to_pylist(), strict=True), strict=True))

    @cached_property
    def explainer(self) -> Explainer:
        """What tells why an item where no model can be asked."""
        return Explainer(
            self.graph,
            names=self.names,
            language=self.language,
            user_interests=self.user_interests,
            writers=self.user_texts.column("user_id"),
        )

    @cached_property
    def attributor(self) -> Attributor | None:
        """What tells reasons with their share in the release's scores; None without a release."""
        if self.taste is None:
            return None
        return Attributor(self.graph, items=self.taste.items, names=self.names, language=self.language, config=self.config.explanation)

    @cached_property
    def facts(self) -> ItemFacts:
        """What re-ranking knows of the catalogue's items."""
        config = self.config.reranking
        return ItemFacts.from_table(
            self.items,
            order=self.catalogue.items,
            vectors_ID=self.vectors_ID,
            attributes_I=self.catalogue.attributes_I,
            labelled=tuple(config.caps),
            stock_attribute=config.stock_attribute,
            out_of_stock_values=config.out_of_stock_values,
        )

    def warm(self) -> None:
        """Load and use what is slow the first time, so that no request pays for it."""
        if len(self.catalogue):
            vector = self.encoder.encode([self.catalogue.title_I[0]], kind="query").vectors_ND[0]
            # A Chinese word, so that the dictionary of them is there.
            self.query.ask(vector, space_id=self.encoder.space.space_id, text=f"{self.catalogue.title_I[0]} 预热")
        if self.taste is not None and len(self.taste.users):
            self.taste.model.score(np.zeros(1, dtype=np.int64))
        _ = self.places(self.catalogue.items), self.places(self.query.items), self.places(self.interests.items)
        # Made when they are first asked for.
        _ = self.catalogue.values, self.facts, self.attributor, self.explainer, self.items_by_title, self.interests_by_name
        _ = self.facts, self.attributor, self.explainer, self.catalogue.values, self.items_by_title, self.interests_by_name


@dataclass(frozen=True)
class Neighbours:
    """Who and what is alike, from the day's tables."""

    items: pa.Table
    users: pa.Table

    def of_item(self, item_id: str, *, k: int) -> list[dict[str, object]]:
        """Nearest items, closest first; empty where none are known."""
        return _rows(self.items, "item_id", item_id, k=k)

    def of_user(self, user_id: str, *, k: int) -> list[dict[str, object]]:
        """People of like interests, closest first; empty where none are known."""
        return _rows(self.users, "user_id", user_id, k=k)


def _rows(table: pa.Table, key: str, wanted: str, *, k: int) -> list[dict[str, object]]:
    found = table.filter(pc.equal(table.column(key), wanted)).sort_by("rank").slice(0, k)
    rows: list[dict[str, object]] = found.drop_columns([key, "release_id"]).to_pylist()
    return rows


def load_snapshot(
    *, tables: Path, releases: Path, day: date, release_id: str, config: PipelineConfig, language: Language, open_encoder: OpenEncoder
) -> Snapshot:
    """Read a finished day, with the release that is live on it: after a rollback not the one that the day's tables were made by.

    Raises `MissingTableError` or `ReleaseError` naming what is not there.
    """
    store = TableStore(tables)
    read = {
        name: store.read(CONTRACTS[name], day=day)
        for name in (
            "items",
            "item_features",
            "item_embeddings",
            "user_text_embeddings",
            "item_interests",
            "user_interests",
            "interest_points",
            "knowledge_graph",
            "interest_graph",
        )
    }
    release_id = release_id or NO_RELEASE
    release = model_of(release_id, releases=ReleaseStore(releases))
    names = Names.from_tables(items=read["items"], interest_points=read["interest_points"], knowledge_graph=read["knowledge_graph"])
    return Snapshot(
        release_id=release_id,
        day=day,
        language=language,
        config=config,
        catalogue=Catalogue.of(read["items"], item_features=read["item_features"]),
        taste=Taste(release[1], half_life_days=config.graph.half_life_days) if release else None,
        interests=interest_rung(
            item_embeddings=read["item_embeddings"],
            user_text_embeddings=read["user_text_embeddings"],
            item_interests=read["item_interests"],
            user_interests=read["user_interests"],
        ),
        query=_query_index(read, names=names, config=config),
        graph=graph_from_table(read["interest_graph"]),
        names=names,
        items=read["items"],
        interest_points=read["interest_points"],
        user_interests=read["user_interests"],
        user_texts=read["user_text_embeddings"],
        neighbours=Neighbours(store.read(SIMILAR_ITEMS, day=day), store.read(SIMILAR_USERS, day=day)),
        open_encoder=open_encoder,
    )


def _query_index(read: dict[str, pa.Table], *, names: Names, config: PipelineConfig) -> QueryIndex:
    knowledge = None
    if config.question.graph_weight > 0:
        knowledge = Knowledge.of(
            read["interest_graph"],
            item_embeddings=read["item_embeddings"],
            interest_points=read["interest_points"],
            names=names,
            config=config.question,
        )
    words = None
    if config.question.word_weight > 0:
        words = WordIndex.of(read["items"], item_embeddings=read["item_embeddings"], weight=config.question.word_weight)
    return QueryIndex.of(
        item_embeddings=read["item_embeddings"],
        interest_points=read["interest_points"],
        item_interests=read["item_interests"],
        knowledge=knowledge,
        words=words,
    )

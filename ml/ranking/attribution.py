"""Reasons of one answer that are true: each a path of edges that exist, with what the score loses when the path is deleted.

A path that is worth nothing is not told; where none is worth anything, the honest rung is. Deleting and asking again follows
PRINCE (Ghazimatin et al., WSDM 2020) and Tran et al. (SIGIR 2021); how is the caller's (`ml.models.ablation`), which ways there
are is `like_paths`'s, the words are `wording`'s. Shapes: L likes of the user, C likes looked at, K items shown, B deletions, T interests.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ml.config.pipeline import ExplanationConfig
from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import InterestGraph
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.ranking.like_paths import ENTITY, INTEREST, LINK, NO_WAY, OTHERS, LikePaths, Ways
from ml.ranking.names import Names
from ml.ranking.sparse_rows import dense_block, dense_rows, entries_of
from ml.ranking.wording import Language, is_chinese, sentence

Floats = npt.NDArray[np.float64]

# Kinds of reasons without a path, told where no path is worth anything.
RUNGS = ("popular", "new")
# Where paths of somebody without an id start.
SESSION = "session"
# Likes among which the nearest are looked for; of more, those that weigh most.
_MOST_LIKES = 1000


class ScoresWithout(Protocol):
    """One user's scores, asked again without some of their likes."""

    @property
    def liked_L(self) -> IntArray:
        """Items they like, positions in the release, shape [L]."""
        ...

    @property
    def weight_L(self) -> FloatArray:
        """How much each like weighs, above 0, shape [L]."""
        ...

    def __call__(self, kept_BL: BoolArray, item_K: IntArray) -> FloatArray:
        """Scores of items with the likes at True alone, shape [B, K]."""
        ...


@dataclass(frozen=True)
class Reason:
    """Why an item is shown: a kind, its path as `ml.ranking.paths` writes paths, its share, and the same in words.

    `share` is what the item's score, in [-1, 1], loses when the path is deleted. Shares of reasons that delete the same likes
    overlap, so they do not add up to the score. Kinds without a path ("popular", "new") have share 0. `names` is what the nodes of
    the path are called, people left out.
    """

    kind: str
    path: tuple[str, ...]
    share: float
    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A path that is worth its share: for the item at `shown`, over a like, or an interest (`liked`: most seen in)."""

    shown: int
    kind: str
    share: float
    liked: int = -1
    node: int = -1
    relation: str = ""
    num_others: int = 0


@dataclass(frozen=True)
class _Lost:
    """What every item loses without each like looked at, [C, K], and without each interest, [T, K].

    `supports_TC` marks the likes that are about an interest, `is_about_TK` the items shown that are.
    """

    liked_C: IntArray
    by_like_CK: Floats
    interest_T: IntArray
    by_interest_TK: Floats
    supports_TC: BoolArray
    is_about_TK: BoolArray


class Attributor:
    """Explains answers of one release with its graph; made once, asked for one user at a time."""

    def __init__(
        self, graph: InterestGraph, *, items: Vocabulary, names: Names, language: Language, config: ExplanationConfig | None = None
    ) -> None:
        """`items` are the release's; `graph` should be of its day, since only edges that it learned from are worth anything."""
        self._paths = LikePaths(graph, items=items)
        self._users = graph.vocabularies["user"]
        self._config = config or ExplanationConfig()
        self._ids = {"item": items.ids} | {kind: graph.vocabularies[kind].ids for kind in ("user", "interest", "entity")}
        self._names = {kind: names.of(kind, self._ids[kind]) for kind in ("item", "interest", "entity")}
        self._is_chinese_I = np.asarray(is_chinese(self._names["item"], language=language), dtype=np.bool_)

    def explain(self, without: ScoresWithout, *, item_K: IntArray, user_id: str) -> list[tuple[Reason, ...]]:
        """The reasons of each item, of largest share first, at least one. The user need not be in the graph, or have an id.

        Scores are asked for once, with up to 1 + `max_likes` + `max_interests` histories.
        """
        user = _position(self._users, user_id)
        lost = self._lost(without, item_K, user=user)
        ways = self._paths.ways(lost.liked_C, item_K, user=user)
        found = [one for shown in range(len(item_K)) for one in self._told(shown, item=int(item_K[shown]), lost=lost, ways=ways)]
        by_item = defaultdict(list)
        for one in found:
            item = int(item_K[one.shown])
            path = self._path(one, item=item, user=user, user_id=user_id)
            by_item[one.shown].append(Reason(one.kind, path, one.share, self._text(one, item=item), self._called(one, item=item)))
        return [tuple(by_item[shown]) for shown in range(len(item_K))]

    def _lost(self, without: ScoresWithout, item_K: IntArray, *, user: int) -> _Lost:
        """Ask for the scores once with all likes and once without each like or interest that is looked at."""
        chosen_C = self._nearest(without, item_K)
        liked_L = without.liked_L
        interest_T, supports_TL = self._interests(liked_L, item_K, user=user)
        kept_CL = np.ones((len(chosen_C), len(liked_L)), dtype=np.bool_)
        kept_CL[np.arange(len(chosen_C)), chosen_C] = False
        everything_1L = np.ones((1, len(liked_L)), dtype=np.bool_)
        scores_BK = without(np.concatenate([everything_1L, kept_CL, ~supports_TL]), item_K).astype(np.float64)
        lost_BK = scores_BK[0] - scores_BK[1:]
        return _Lost(
            liked_C=liked_L[chosen_C],
            by_like_CK=lost_BK[: len(chosen_C)],
            interest_T=interest_T,
            by_interest_TK=lost_BK[len(chosen_C) :],
            supports_TC=supports_TL[:, chosen_C],
            is_about_TK=dense_block(self._paths.about_IT, item_K, interest_T).T > 0,
        )

    def _nearest(self, without: ScoresWithout, item_K: IntArray) -> IntArray:
        """Places in `liked_L` of the likes to look at, ascending."""
        places = np.sort(np.argsort(-without.weight_L, kind="stable")[:_MOST_LIKES])
        if len(places) > self._config.max_likes:
            relevance = self._paths.relevance(without.liked_L[places], item_K)
            places = places[np.sort(np.argsort(-relevance, kind="stable")[: self._config.max_likes])]
        return places.astype(np.int64)

    def _interests(self, liked_L: IntArray, item_K: IntArray, *, user: int) -> tuple[IntArray, BoolArray]:
        """Interests of the user that items shown are about, several likes speak for and not too many items share; those likes, [T, L]."""
        if user < 0 or not self._config.max_interests:
            return np.zeros(0, dtype=np.int64), np.zeros((0, len(liked_L)), dtype=np.bool_)
        about_IT = self._paths.about_IT
        num_shown_T = np.bincount(entries_of(about_IT, item_K).column_E, minlength=about_IT.shape[1])
        # One like alone is a reason of its own.
        num_likes_T = np.bincount(entries_of(about_IT, liked_L).column_E, minlength=about_IT.shape[1])
        has_T = dense_rows(self._paths.has_UT, np.array([user]))[0]
        worth_T = np.where(num_likes_T > 1, num_shown_T * has_T, 0.0) * self._paths.interest_rarity_T
        interest_T = np.argsort(-worth_T, kind="stable")[: self._config.max_interests]
        interest_T = interest_T[worth_T[interest_T] > 0]
        supports_TL = dense_block(about_IT, liked_L, interest_T).T > 0
        return interest_T.astype(np.int64), supports_TL

    def _told(self, shown: int, *, item: int, lost: _Lost, ways: Ways) -> list[_Found]:
        """What to tell of one item: paths of largest share, one interest of the user at most and none twice; else the honest rung."""
        interests = sorted(self._over_interests(shown, lost=lost), key=lambda one: -one.share)[:1]
        told: list[_Found] = []
        for one in sorted([*interests, *self._over_likes(shown, lost=lost, ways=ways)], key=lambda one: -one.share):
            is_told = one.kind == "about" and any(other.node == one.node for other in told if other.kind in {"interest", "about"})
            if len(told) < self._config.max_reasons and not is_told:
                told.append(one)
        return told or [_Found(shown, RUNGS[0] if self._paths.num_likers_I[item] else RUNGS[1], 0.0)]

    def _over_likes(self, shown: int, *, lost: _Lost, ways: Ways) -> list[_Found]:
        kinds = {ENTITY: "entity", LINK: "link", INTEREST: "about", OTHERS: "others"}
        share_C, kind_C = lost.by_like_CK[:, shown], ways.kind_LK[:, shown]
        found = []
        for place in np.flatnonzero((share_C >= self._config.min_share) & (kind_C != NO_WAY)).tolist():
            relation = int(ways.relation_LK[place, shown])
            found.append(
                _Found(
                    shown,
                    kinds[int(kind_C[place])],
                    float(share_C[place]),
                    liked=int(lost.liked_C[place]),
                    node=int(ways.node_LK[place, shown]),
                    relation=self._paths.edge_types[relation].relation if relation >= 0 else "",
                    num_others=int(ways.num_others_LK[place, shown]),
                )
            )
        return found

    def _over_interests(self, shown: int, *, lost: _Lost) -> list[_Found]:
        share_T = lost.by_interest_TK[:, shown]
        told_T = np.flatnonzero((share_T >= self._config.min_share) & lost.is_about_TK[:, shown])
        return [
            _Found(
                shown,
                "interest",
                float(share_T[place]),
                liked=_most_seen_in(lost.by_like_CK[:, shown], lost.supports_TC[place], liked_C=lost.liked_C),
                node=int(lost.interest_T[place]),
            )
            for place in told_T.tolist()
        ]

    def _path(self, found: _Found, *, item: int, user: int, user_id: str) -> tuple[str, ...]:
        start, end = f"user:{user_id}" if user_id else SESSION, self._label("item", item)
        if found.kind == "interest":
            return (start, HAS_INTEREST.relation, self._label("interest", found.node), ABOUT.relation, end)
        if found.kind in RUNGS:
            return ()
        liked = (start, INTERACTED.relation, self._label("item", found.liked))
        if found.kind == "link":
            return (*liked, found.relation, end)
        if found.kind == "entity":
            return (*liked, found.relation, self._label("entity", found.node), found.relation, end)
        if found.kind == "about":
            return (*liked, ABOUT.relation, self._label("interest", found.node), ABOUT.relation, end)
        other = self._label("user", self._paths.other(found.liked, item, user=user))
        return (*liked, INTERACTED.relation, other, INTERACTED.relation, end)

    def _called(self, found: _Found, *, item: int) -> tuple[str, ...]:
        """Names along the path of what was liked, what it goes through and the item shown."""
        through = "entity" if found.kind == "entity" else "interest"
        nodes = [("item", found.liked), (through, -1 if found.kind == "others" else found.node), ("item", item)]
        if found.kind in RUNGS:
            return ()
        if found.kind == "interest":
            # What the interest is most seen in is told as an example.
            nodes = [nodes[1], nodes[0], nodes[2]]
        return tuple(self._name(kind, position) for kind, position in nodes if position >= 0)

    def _label(self, kind: str, position: int) -> str:
        return f"{kind}:{self._ids[kind][position].as_py()}"

    def _name(self, kind: str, position: int) -> str:
        return str(self._names[kind][position].as_py())

    def _text(self, found: _Found, *, item: int) -> str:
        """In words, in the language of the item shown."""
        template = "interest_as_in" if found.kind == "interest" and found.liked >= 0 else found.kind
        return sentence(template, in_chinese=bool(self._is_chinese_I[item]), **self._values(template, found, item=item))

    def _values(self, template: str, found: _Found, *, item: int) -> Mapping[str, str]:
        """What a template's placeholders hold."""
        if template == "popular":
            return {"number": str(self._paths.num_likers_I[item])}
        if template == "new":
            return {}
        if template == "interest":
            return {"interest": self._name("interest", found.node)}
        liked = self._name("item", found.liked)
        if template == "others":
            return {"liked": liked, "number": str(found.num_others)}
        if template in {"link", "entity"}:
            relation = {"liked": liked, "relation": found.relation.replace("_", " ")}
            return relation if template == "link" else relation | {"entity": self._name("entity", found.node)}
        return {"interest": self._name("interest", found.node), "evidence" if template == "interest_as_in" else "liked": liked}


def _most_seen_in(share_C: Floats, supports_C: BoolArray, *, liked_C: IntArray) -> int:
    """The like that speaks most for an interest, of those looked at; -1 where none of them does."""
    if not (supports_C & (share_C > 0)).any():
        return -1
    return int(liked_C[np.argmax(np.where(supports_C, share_C, -np.inf))])


def _position(vocabulary: Vocabulary, identifier: str) -> int:
    """By halving: looking one id up must not read them all."""
    place = bisect_left(range(len(vocabulary)), identifier, key=lambda position: vocabulary.ids[position].as_py())
    return place if place < len(vocabulary) and vocabulary.ids[place].as_py() == identifier else -1

"""From a user's best candidates to the list that is shown, with a note on everything that moved an item.

In this order: filters, freshness, variety under caps, exploration; each rule is a module of its own, with all of them off
the list is the candidates' first k. Shapes: N candidates, K places of the list, I items, P candidates of a slot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ml.config.pipeline import RerankingConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.ranking.caps import NO_ITEMS, Caps
from ml.ranking.diversity import MarginalRelevance
from ml.ranking.exploration import draw, generator_of, num_slots, propensities
from ml.ranking.item_facts import ItemFacts
from ml.ranking.notes import Note

Floats = npt.NDArray[np.float64]

# Points of score that are too few to tell.
_LEAST_BOOST = 0.0005


@dataclass(frozen=True)
class Placed:
    """An item of the list: its own score, its place among the candidates as they came (from 0), and what moved it.

    `propensity` is the probability that this item got this place, given the places above: 1 but for a draw.
    """

    item_index: int
    score: float
    candidate_place: int
    propensity: float = 1.0
    is_explored: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Reranked:
    """The list, best first; how many candidates each rule left out, and why the list is shorter than asked, "" where it is not."""

    places: tuple[Placed, ...]
    left_out: Mapping[str, int]
    shortfall: str


@dataclass(frozen=True)
class _Pool:
    """Candidates that passed the filters, by boosted score; `came_N` is their place among all candidates."""

    item_N: IntArray
    score_N: FloatArray
    came_N: IntArray
    boost_N: Floats
    age_N: Floats

    @property
    def boosted_N(self) -> Floats:
        return self.score_N + self.boost_N


def rerank(
    item_N: IntArray,
    score_N: FloatArray,
    *,
    facts: ItemFacts,
    config: RerankingConfig,
    k: int,
    as_of: datetime,
    token: str,
    seen: IntArray | None = None,
    diversity: float | None = None,
    above: IntArray = NO_ITEMS,
) -> Reranked:
    """The `k` items to show of candidates that come best first, item positions and finite scores [N].

    Equal ones keep the order they came in. `seen` are item positions the user met, `diversity` is the request's own strength, `above`
    are item positions that stand in the list already: caps count them and variety keeps away from them;
    `token` the request's own text: the same call with the same token gives the same list. O(N k D).
    Raises `ValueError` for a `k` below 1 and for candidates that are no such list, `ConfigError` for a cap on what `facts` does not hold.
    """
    _require_candidates(item_N, score_N, num_items=len(facts), k=k)
    kept_N, left_out = _filtered(item_N, facts=facts, seen=seen if config.drop_seen else None)
    pool = _boosted(item_N, score_N, kept=kept_N, facts=facts, config=config, as_of=as_of)
    strength = config.diversity if diversity is None else diversity
    greedy = _greedy(pool, facts=facts, config=config, above=above, strength=strength, k=k)
    places = _with_slots(greedy, pool=pool, facts=facts, config=config, above=above, k=k, token=token)
    if len(places) < min(k, len(pool.item_N)):
        left_out["cap"] = len(pool.item_N) - len(places)
    return Reranked(tuple(places), left_out, _shortfall(len(places), k=k, num_candidates=len(item_N), left_out=left_out))


def _require_candidates(item_N: IntArray, score_N: FloatArray, *, num_items: int, k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if item_N.ndim != 1 or item_N.shape != score_N.shape:
        raise ValueError(f"items and scores have shapes {item_N.shape} and {score_N.shape}, expected one score per item")
    if len(item_N) and not 0 <= item_N.min() <= item_N.max() < num_items:
        raise ValueError(f"candidates are item positions from {item_N.min()} to {item_N.max()}, the facts are of {num_items} items")
    if len(np.unique(item_N)) < len(item_N):
        raise ValueError("a candidate comes twice; pass each item once")
    if not np.isfinite(score_N).all() or (np.diff(score_N) > 0).any():
        raise ValueError("scores must be finite and best first; sort the candidates before")


def _filtered(item_N: IntArray, *, facts: ItemFacts, seen: IntArray | None) -> tuple[IntArray, dict[str, int]]:
    """Places of candidates that stay, and how many each filter left out; who is both seen and gone counts as seen."""
    is_seen_N: BoolArray = np.isin(item_N, np.zeros(0, dtype=np.int64) if seen is None else seen)
    is_gone_N = facts.is_out_of_stock_I[item_N] & ~is_seen_N
    counts = {"seen": int(is_seen_N.sum()), "out of stock": int(is_gone_N.sum())}
    return np.flatnonzero(~is_seen_N & ~is_gone_N), {name: count for name, count in counts.items() if count}


def _boosted(item_N: IntArray, score_N: FloatArray, *, kept: IntArray, facts: ItemFacts, config: RerankingConfig, as_of: datetime) -> _Pool:
    age_N = facts.age_in_days(item_N[kept], as_of=as_of)
    boost_N = config.freshness_weight * np.exp2(-age_N / config.freshness_half_life_days)
    order = np.argsort(-(score_N[kept] + boost_N), kind="stable")
    return _Pool(item_N[kept][order], score_N[kept][order], kept[order], boost_N[order], age_N[order])


def _greedy(
    pool: _Pool, *, facts: ItemFacts, config: RerankingConfig, above: IntArray, strength: float, k: int
) -> list[tuple[int, tuple[Note, ...]]]:
    """Places in the pool, one after the other, each the most valuable that no cap closes, and what moved them."""
    caps = Caps(config.caps, facts=facts, item_N=pool.item_N, above=above)
    value = MarginalRelevance(pool.boosted_N, vectors_ND=facts.vectors_ID[pool.item_N], strength=strength)
    for item in above.tolist():
        value.stands_above(facts.vectors_ID[item])
    is_left_N = np.ones(len(pool.item_N), dtype=np.bool_)
    found: list[tuple[int, tuple[Note, ...]]] = []
    while len(found) < k and (is_left_N & caps.is_open_N).any():
        worth_N = np.where(is_left_N, value.value_N, -np.inf)
        place = int(np.argmax(np.where(caps.is_open_N, worth_N, -np.inf)))
        found.append((place, _moves(place, first=int(np.argmax(worth_N)), may_be_taken_N=is_left_N & caps.is_open_N, pool=pool, caps=caps)))
        is_left_N[place] = False
        caps.take(place)
        value.take(place)
    return found


def _moves(place: int, *, first: int, may_be_taken_N: BoolArray, pool: _Pool, caps: Caps) -> tuple[Note, ...]:
    """Notes on a place: its boost, whom of higher score it overtook, and the cap that stopped the one before it."""
    notes = _fresh(place, pool=pool)
    overtaken = int(may_be_taken_N[:place].sum())
    if overtaken:
        notes = (*notes, Note("diversity", {"overtaken": overtaken}))
    if first != place:
        attribute, value, limit = caps.closed_by(first)
        notes = (*notes, Note("cap", {"attribute": attribute, "value": value, "limit": limit}))
    return notes


def _fresh(place: int, *, pool: _Pool) -> tuple[Note, ...]:
    boost, days = float(pool.boost_N[place]), float(pool.age_N[place])
    return (Note("freshness", {"boost": boost, "days": days}),) if boost >= _LEAST_BOOST else ()


def _with_slots(
    greedy: Sequence[tuple[int, tuple[Note, ...]]],
    *,
    pool: _Pool,
    facts: ItemFacts,
    config: RerankingConfig,
    above: IntArray,
    k: int,
    token: str,
) -> list[Placed]:
    """The list with its last places drawn from beyond it, under the same caps; where nothing is left to draw, as it was."""
    found = [_placed(place, pool=pool, notes=notes) for place, notes in greedy]
    beyond = np.setdiff1d(np.arange(len(pool.item_N)), [place for place, _ in greedy])[: config.exploration_pool]
    slots = num_slots(config.exploration, k=k)
    if not slots or not len(beyond):
        return found
    caps, rng = Caps(config.caps, facts=facts, item_N=pool.item_N, above=above), generator_of(token)
    kept = list(greedy[: k - slots])
    for place, _ in kept:
        caps.take(place)
    found = found[: len(kept)]
    while len(found) < k and caps.is_open_N[beyond].any():
        drawable = beyond[caps.is_open_N[beyond]]
        propensity_P = propensities(pool.boosted_N[drawable], temperature=config.exploration_temperature)
        drawn = draw(propensity_P, rng=rng)
        chance, place = float(propensity_P[drawn]), int(drawable[drawn])
        note = Note("exploration", {"propensity": chance, "pool": len(drawable)})
        found.append(_placed(place, pool=pool, notes=(*_fresh(place, pool=pool), note), propensity=chance, is_explored=True))
        caps.take(place)
        beyond = beyond[beyond != place]
    # What chance could not fill goes to those who would have stood there.
    for place, notes in greedy[len(kept) :]:
        if len(found) < k and caps.is_open_N[place]:
            found.append(_placed(place, pool=pool, notes=notes))
            caps.take(place)
    return found


def _placed(place: int, *, pool: _Pool, notes: tuple[Note, ...], propensity: float = 1.0, is_explored: bool = False) -> Placed:
    return Placed(int(pool.item_N[place]), float(pool.score_N[place]), int(pool.came_N[place]), propensity, is_explored, notes)


def _shortfall(num_places: int, *, k: int, num_candidates: int, left_out: Mapping[str, int]) -> str:
    if num_places == k:
        return ""
    told = ", ".join(f"{count} left out as {name}" if name != "cap" else f"{count} left out by caps" for name, count in left_out.items())
    return f"{num_places} of {k} places filled: {num_candidates} candidate(s)" + (f", {told}" if told else "")

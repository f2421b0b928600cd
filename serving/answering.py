"""From a question to a list: the rungs of the ladder in turn, only what may be offered, each item with where it came from.

Shapes: I items of the catalogue.
"""

from dataclasses import dataclass

import numpy as np

from ml.ids import BoolArray, IntArray
from serving.asking import Asked
from serving.ladder import RungName, Scored, climb
from serving.snapshot import Snapshot

# Candidates of a rung that a list of k is chosen from: as many times k, but at least so many.
POOL_TIMES, POOL_LEAST = 5, 100


@dataclass(frozen=True)
class Candidates:
    """The best items of one rung, best first; equal scores by popularity, then by id."""

    scored: Scored
    items: IntArray

    @property
    def rung(self) -> RungName:
        """Which rung they are of."""
        return self.scored.rung


def find_candidates(snapshot: Snapshot, asked: Asked, *, k: int) -> list[Candidates]:
    """Enough to choose `k` from, rung after rung, no item twice; fewer where the catalogue has no more to offer.

    Left out are items that are out of stock, that the user met (unless `reranking.drop_seen` is off), those they want no more of,
    and what its own limits exclude.
    """
    # Before a pool is cut: one full of what nobody can have would leave nothing to choose from.
    offered_I = asked.limits.offered(snapshot.catalogue) & ~_met(snapshot, asked) & ~snapshot.facts.is_out_of_stock_I
    found: list[Candidates] = []
    wanted = max(POOL_TIMES * k, POOL_LEAST)
    for scored in climb(snapshot, asked):
        best = _best(snapshot, scored, offered_I=offered_I, k=wanted)
        if len(best):
            found.append(Candidates(scored, best))
            offered_I[best] = False
        if sum(len(candidates.items) for candidates in found) >= k:
            break
    return found


def _met(snapshot: Snapshot, asked: Asked) -> BoolArray:
    catalogue, said = snapshot.catalogue, asked.said
    met_I = catalogue.mask(sorted(said.never_again))
    if snapshot.config.reranking.drop_seen:
        met_I |= catalogue.mask(sorted(said.seen))
        met_I |= _met_before(snapshot, asked.user_id)
    return met_I


def _met_before(snapshot: Snapshot, user_id: str | None) -> BoolArray:
    met_I = np.zeros(len(snapshot.catalogue), dtype=np.bool_)
    if snapshot.taste is not None:
        place, is_there = snapshot.places(snapshot.taste.items)
        met = snapshot.taste.met(user_id)
        met_I[place[met[is_there[met]]]] = True
    return met_I


def _best(snapshot: Snapshot, scored: Scored, *, offered_I: BoolArray, k: int) -> IntArray:
    may = np.flatnonzero(offered_I & scored.is_scored_I)
    if len(may) > k:
        # All that tie with the last one stay, for popularity to choose among.
        score = scored.score_I[may]
        may = may[score >= np.partition(score, len(may) - k)[len(may) - k]]
    order = np.lexsort((may, -snapshot.catalogue.popularity_I[may], -scored.score_I[may]))
    return may[order][:k]

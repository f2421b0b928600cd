"""Which rung answers, and how well each item does on it: personal, fold_in, text, interest, segment, popular.

Every question has an answer: a rung that knows nothing of it leaves it to the next. Shapes: I items of the catalogue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import erf

from ml.ids import BoolArray, FloatArray, Vocabulary
from ml.ranking.matching import cosines
from ml.ranking.query import Answered, Preference, blended
from serving.asking import Asked
from serving.snapshot import Snapshot
from serving.taste import Person

RungName = Literal["personal", "fold_in", "text", "interest", "segment", "popular"]

# What being wanted more of, or less of, moves a score by at a cosine of 1, where scores are told apart best: near 0.
STEERING = 1.0
# A score of 1 is infinitely far out.
_NEAREST_TO_ONE = 1.0 - 1e-6


@dataclass(frozen=True)
class Scored:
    """What one rung says: scores in [-1, 1] of the items that `is_scored_I` marks, and how a text, or whose taste, came to them."""

    rung: RungName
    score_I: FloatArray
    is_scored_I: BoolArray
    answered: Answered | None = None
    person: Person | None = None


def climb(snapshot: Snapshot, asked: Asked) -> Iterator[Scored]:
    """The rungs that know something of what is asked, best first; the last one always does."""
    by_taste = _by_taste(snapshot, asked)
    if asked.text.strip():
        yield _by_text(snapshot, asked, by_taste=by_taste)
    if by_taste is not None:
        yield by_taste
    by_interest = _by_interest(snapshot, asked)
    if by_interest is not None:
        yield by_interest
    if asked.limits.is_narrow():
        yield _popular(snapshot, asked, rung="segment")
    yield _popular(snapshot, asked, rung="popular")


def _by_taste(snapshot: Snapshot, asked: Asked) -> Scored | None:
    """The release's own scores: of a user it knows, moved by what they did since, or folded in from that alone."""
    taste = snapshot.taste
    if taste is None:
        return None
    person = taste.person(asked.user_id, said=asked.said, now=asked.now)
    score_J = person.scores()
    if score_J is None:
        return None
    rung: RungName = "fold_in" if person.user_index is None else "personal"
    return replace(_over_catalogue(snapshot, asked, rung=rung, items=taste.items, score_J=score_J), person=person)


def _by_text(snapshot: Snapshot, asked: Asked, *, by_taste: Scored | None) -> Scored:
    """How well items answer the text; of somebody whose taste is known, with their taste for a share of it."""
    encoder, index = snapshot.encoder, snapshot.query
    vector = encoder.encode([asked.text], kind="query").vectors_ND[0]
    answered = index.ask(vector, space_id=encoder.space.space_id, text=asked.text)
    if by_taste is None:
        score_J = answered.score_I / index.highest_score
    else:
        place, known = snapshot.places(index.items)
        taste_J = np.where(known & by_taste.is_scored_I[place], by_taste.score_I[place], by_taste.score_I.mean()).astype(np.float32)
        # A mean of standard scores as the share of a normal law below it, from -1 to 1.
        standard_J = blended(answered.score_I, items=index.items, preference=Preference(index.items, taste_J))
        score_J = erf(standard_J / np.sqrt(2.0)).astype(np.float32)
    scored = _over_catalogue(snapshot, asked, rung="text", items=index.items, score_J=score_J)
    return replace(scored, answered=answered)


def _by_interest(snapshot: Snapshot, asked: Asked) -> Scored | None:
    """Nearness to the interests and own words of somebody who liked nothing yet."""
    rung = snapshot.interests
    place, known = rung.users.find([asked.user_id] if asked.user_id else [])
    if not known.any() or not rung.can_answer_U[place[0]]:
        return None
    return _over_catalogue(snapshot, asked, rung="interest", items=rung.items, score_J=rung.score(place)[0])


def _popular(snapshot: Snapshot, asked: Asked, *, rung: RungName) -> Scored:
    catalogue = snapshot.catalogue
    return _over_catalogue(snapshot, asked, rung=rung, items=catalogue.items, score_J=catalogue.popularity_I)


def _over_catalogue(snapshot: Snapshot, asked: Asked, *, rung: RungName, items: Vocabulary, score_J: FloatArray) -> Scored:
    """Scores of `items` at their places in the catalogue, steered; items of the catalogue that are not among them have none."""
    catalogue = snapshot.catalogue
    place, is_there = snapshot.places(items)
    score_I, is_scored_I = np.zeros(len(catalogue), dtype=np.float32), np.zeros(len(catalogue), dtype=np.bool_)
    score_I[place[is_there]] = score_J[is_there]
    is_scored_I[place[is_there]] = True
    return Scored(rung, _steered(snapshot, asked, score_I), is_scored_I)


def _steered(snapshot: Snapshot, asked: Asked, score_I: FloatArray) -> FloatArray:
    """Nearer to what more is wanted of, farther from what is not liked; added where scores have no ends, so none meets another there."""
    away = (*asked.less_like, *asked.said.disliked)
    if not (asked.more_like or asked.more_of or asked.less_of or asked.unwanted_texts or away):
        return score_I
    pull_I = _likeness(snapshot, asked.more_like) - _likeness(snapshot, away)
    pull_I += _share_of(snapshot, asked.more_of) - _share_of(snapshot, asked.less_of)
    pull_I -= _likeness_to_texts(snapshot, asked.unwanted_texts)
    endless_I = np.arctanh(np.clip(score_I.astype(np.float64), -_NEAREST_TO_ONE, _NEAREST_TO_ONE))
    steered_I: FloatArray = np.tanh(endless_I + STEERING * pull_I).astype(np.float32)
    return steered_I


def _likeness_to_texts(snapshot: Snapshot, texts: Sequence[str]) -> FloatArray:
    """The largest cosine of each item's text to any of these, at least 0, shape [I]."""
    likeness_I = np.zeros(len(snapshot.catalogue), dtype=np.float32)
    if texts:
        place, is_there = snapshot.places(snapshot.query.items)
        wanted_TD = snapshot.encoder.encode(list(texts), kind="query").vectors_ND
        cosine_JT = np.stack([cosines(vector, snapshot.query.vectors_ID) for vector in wanted_TD], axis=1)
        likeness_I[place[is_there]] = np.maximum(cosine_JT.max(axis=1), 0.0)[is_there]
    return likeness_I


def _likeness(snapshot: Snapshot, item_ids: Sequence[str]) -> FloatArray:
    """The largest cosine of each item to any of these, at least 0, shape [I]."""
    places, vectors_ID = snapshot.catalogue.positions(item_ids), snapshot.vectors_ID
    if not len(places):
        return np.zeros(len(vectors_ID), dtype=np.float32)
    likeness_I: FloatArray = np.maximum((vectors_ID @ vectors_ID[places].T).max(axis=1), 0.0)
    return likeness_I


def _share_of(snapshot: Snapshot, interest_ids: Sequence[str]) -> FloatArray:
    """The largest weight of any of these interests on each item, shape [I]."""
    index = snapshot.query
    interests, known = index.points.interests.find(list(interest_ids))
    share_I = np.zeros(len(snapshot.catalogue), dtype=np.float32)
    if known.any():
        place, is_there = snapshot.places(index.items)
        share_I[place[is_there]] = index.about_IT[:, interests[known]].toarray().max(axis=1)[is_there]
    return share_I

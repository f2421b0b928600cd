"""The answer to one recommend request, from one snapshot: understood, ranked, re-ranked, explained, signed.

Nothing here waits for anything or changes anything; the route around it is `serving.routes.recommend`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from ml.knowledge.extraction import Endpoint
from ml.ranking.rerank import Placed, rerank
from serving.access.impressions import Impression, ImpressionSigner, Subject
from serving.access.signatures import SignedState
from serving.answering import Candidates, find_candidates
from serving.asking import Asked, Limits
from serving.conversation import Conversation, understand
from serving.feedback.statements import Statement, UserFeedback
from serving.reasons import Reasoner
from serving.schemas import Reason, RecommendAnswer, Recommended, RecommendRequest, Understanding
from serving.snapshot import Snapshot

# What was shown before is in the cursor, so that no page repeats an item, whatever changed between pages.
MOST_PAGED = 1000
# What a cursor may hold of ids, in characters, however long ids are; and the items of an answer that a turn can point at.
_MOST_PAGED_CHARACTERS, _MOST_POINTED_AT = 40_000, 20
CURSOR_AGE, CONVERSATION_AGE = timedelta(hours=1), timedelta(hours=24)
# Ids named in a note; the others are counted.
_MOST_NAMED = 5
# What an item of a session weighs, as a like by default.
_SESSION_LIKE = 3.0


@dataclass(frozen=True)
class Signers:
    """Everything the service gives out to be sent back."""

    impressions: ImpressionSigner
    cursors: SignedState
    conversations: SignedState


@dataclass(frozen=True)
class Context:
    """What a request comes with besides its body.

    What its user said since the release, its own id, the moment, the inside id of its user, and who may put reasons into words.
    """

    said: UserFeedback
    request_id: str
    now: datetime
    inside_user_id: str | None
    endpoint: Endpoint | None = None


def recommend(snapshot: Snapshot, request: RecommendRequest, *, context: Context, signers: Signers) -> RecommendAnswer:
    """The best items for a request. Raises `SignedTextError` for a cursor or conversation that is not ours or too old."""
    paged = _paged(request, context=context, signers=signers)
    conversation, shown_before = _conversation(request, context=context, signers=signers)
    turn = understand(request.say, snapshot=snapshot, shown=shown_before)
    conversation = conversation.then(turn)
    asked = _asked(request, conversation=conversation, context=context, paged=paged)
    groups = find_candidates(snapshot, asked, k=request.k)
    token = request.conversation or request.cursor or context.request_id
    placed, shortfall, goes_on = _placed(snapshot, groups, request=request, context=context, token=token)
    items = _told(snapshot, groups, placed, asked=asked, endpoint=context.endpoint)
    shown = [item.item_id for item in items]
    return RecommendAnswer(
        **release_info(snapshot, now=context.now),
        items=items,
        rung=items[0].rung if items else groups[0].rung if groups else "popular",
        cursor=_next_cursor(paged, shown, context=context, signers=signers) if goes_on and shown else None,
        impression=signers.impressions.sign(
            [Impression(item.item_id, item.rank, item.propensity or 1.0) for item in items],
            release_id=snapshot.release_id,
            subject=subject_of(request.user_id, request.session_id),
            now=context.now,
        ),
        conversation=_next_conversation(conversation, shown, context=context, signers=signers),
        understood=[Understanding(**word.to_dict()) for word in turn],
        notes=[*_notes(snapshot, request), *([shortfall] if shortfall else [])],
    )


def release_info(snapshot: Snapshot, *, now: datetime) -> dict[str, Any]:
    """Which release answers and how old it is, fields of `ReleaseInfo`."""
    age = now - snapshot.as_of
    return {
        "release": snapshot.release_id,
        "as_of": snapshot.as_of,
        "age_seconds": age.total_seconds(),
        "is_stale": age > timedelta(days=snapshot.config.features.ttl_days),
    }


def subject_of(user_id: str | None, session_id: str | None) -> Subject:
    """Whom an answer is shown to."""
    return Subject("user", user_id) if user_id is not None else Subject("session", session_id or "")


def _paged(request: RecommendRequest, *, context: Context, signers: Signers) -> tuple[str, ...]:
    if request.cursor is None:
        return ()
    return tuple(signers.cursors.verify(request.cursor, max_age=CURSOR_AGE, now=context.now)["shown"])


def _conversation(request: RecommendRequest, *, context: Context, signers: Signers) -> tuple[Conversation, tuple[str, ...]]:
    if request.conversation is None:
        return Conversation(), ()
    state = signers.conversations.verify(request.conversation, max_age=CONVERSATION_AGE, now=context.now)
    return Conversation.from_dict(state), tuple(state["shown"])


def _asked(request: RecommendRequest, *, conversation: Conversation, context: Context, paged: Sequence[str]) -> Asked:
    """The question as the ladder takes it; items of a session are likes of the last minutes, one a minute."""
    ago = [timedelta(minutes=minutes) for minutes in range(len(request.items), 0, -1)]
    session = [
        Statement(event_id="", kind="like", weight=_SESSION_LIKE, at=context.now - age, item_id=item_id)
        for item_id, age in zip(request.items, ago, strict=True)
    ]
    filters: dict[str, list[str]] = {name: list(values) for name, values in request.filters.items()}
    for name, values in conversation.attributes("more").items():
        filters.setdefault(name, []).extend(values)
    return Asked(
        user_id=context.inside_user_id,
        text=" ".join(part for part in (request.text.strip(), conversation.text) if part),
        now=context.now,
        said=UserFeedback((*context.said.statements, *session)),
        more_like=conversation.ids("item", "more"),
        less_like=conversation.ids("item", "less"),
        more_of=conversation.ids("interest", "more"),
        less_of=conversation.ids("interest", "less"),
        unwanted_texts=conversation.unwanted_texts,
        limits=Limits(
            exclude=frozenset({*request.exclude, *paged, *conversation.ids("item", "less")}),
            allow=frozenset(request.allow) if request.allow is not None else None,
            filters=filters,
            avoid=conversation.attributes("less"),
        ),
    )


def _placed(
    snapshot: Snapshot, groups: Sequence[Candidates], *, request: RecommendRequest, context: Context, token: str
) -> tuple[list[tuple[Candidates, Placed]], str, bool]:
    """Each rung's candidates re-ranked in turn until there are `k`, why there are fewer, if so, and whether there may be a next page."""
    found: list[tuple[Candidates, Placed]] = []
    is_capped = False
    shortfall = (
        "" if groups else "nothing is left to offer: everything was met, excluded, is out of stock, or has none of the filters' values"
    )
    for candidates in groups:
        if len(found) == request.k:
            break
        listed = rerank(
            candidates.items,
            candidates.scored.score_I[candidates.items],
            facts=snapshot.facts,
            config=snapshot.config.reranking,
            k=request.k - len(found),
            as_of=context.now,
            token=token,
            diversity=request.diversity,
            above=np.array([place.item_index for _, place in found], dtype=np.int64),
        )
        found += [(candidates, place) for place in listed.places]
        shortfall = listed.shortfall
        is_capped |= "cap" in listed.left_out
    is_short = len(found) < request.k
    return found, shortfall if is_short else "", not is_short or is_capped


def _told(
    snapshot: Snapshot,
    groups: Sequence[Candidates],
    placed: Sequence[tuple[Candidates, Placed]],
    *,
    asked: Asked,
    endpoint: Endpoint | None,
) -> list[Recommended]:
    catalogue, reasoner = snapshot.catalogue, Reasoner(snapshot, asked, endpoint=endpoint)
    reasons: Mapping[int, list[Reason]] = {}
    for candidates in groups:
        mine = np.array([place.item_index for group, place in placed if group is candidates], dtype=np.int64)
        reasons = {**reasons, **dict(zip(mine.tolist(), reasoner.reasons(candidates.scored, mine), strict=True))}
    language: Literal["en", "zh"] = "zh" if snapshot.language == "zh" else "en"
    return [
        Recommended(
            rank=rank,
            item_id=catalogue.items.ids[place.item_index].as_py(),
            title=catalogue.title_I[place.item_index],
            category=catalogue.category_I[place.item_index],
            score=place.score,
            rung=candidates.rung,
            reasons=reasons[place.item_index],
            moved=[note.text(language) for note in place.notes],
            propensity=place.propensity if place.is_explored else None,
        )
        for rank, (candidates, place) in enumerate(placed, start=1)
    ]


def _next_cursor(paged: Sequence[str], shown: Sequence[str], *, context: Context, signers: Signers) -> str | None:
    """None where so much was paged through that nobody reads on."""
    so_far = [*paged, *shown]
    if len(so_far) > MOST_PAGED or sum(map(len, so_far)) > _MOST_PAGED_CHARACTERS:
        return None
    return signers.cursors.sign({"shown": so_far}, now=context.now)


def _next_conversation(conversation: Conversation, shown: Sequence[str], *, context: Context, signers: Signers) -> str:
    """All that was understood and what is shown now, which "the second one" will be about."""
    return signers.conversations.sign(conversation.to_dict() | {"shown": list(shown[:_MOST_POINTED_AT])}, now=context.now)


def _notes(snapshot: Snapshot, request: RecommendRequest) -> list[str]:
    """What of the request means nothing here, said rather than refused."""
    notes = []
    for name in ("items", "exclude", "allow"):
        given = list(dict.fromkeys(getattr(request, name) or []))
        _, known = snapshot.catalogue.items.find(given)
        unknown = [item_id for item_id, is_known in zip(given, known, strict=True) if not is_known]
        if unknown:
            more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
            notes.append(f"{name}: not in the catalogue and ignored: {', '.join(unknown[:_MOST_NAMED])}{more}")
    for name in sorted(set(request.filters) - snapshot.catalogue.attribute_names):
        known_names = ", ".join(sorted(snapshot.catalogue.attribute_names))
        notes.append(f"filters: no item has {name}, so nothing matches; items have {known_names}")
    return notes

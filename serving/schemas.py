"""What clients send and get, as types: the OpenAPI description is made from these."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[str, StringConstraints(max_length=60_000)]
Values = Annotated[list[Annotated[str, StringConstraints(max_length=256)]], Field(max_length=100)]
# `serving.max_k` of the profile is at most this.
MAX_K, MAX_IDS, MAX_TEXT = 1000, 1000, 2000


class Strict(BaseModel):
    """A request that names only what exists."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RecommendRequest(Strict):
    """Who asks, or what they say, or what they looked at; all may be left out."""

    user_id: Id | None = Field(None, description="User id; somebody unknown is answered too.")
    session_id: Id | None = Field(None, description="Of somebody without a user id; an answer's impression is theirs.")
    text: str = Field("", max_length=MAX_TEXT, description="Free text to look for.")
    items: list[Id] = Field(default_factory=list, max_length=MAX_IDS, description="What they liked in this session, oldest first.")
    k: int = Field(10, ge=1, le=MAX_K, description="List length, at most `serving.max_k`.")
    cursor: Token | None = Field(None, description="Of the last answer: what comes after it.")
    exclude: list[Id] = Field(default_factory=list, max_length=MAX_IDS, description="Items never to offer.")
    allow: list[Id] | None = Field(None, max_length=MAX_IDS, description="Only these items; null for the whole catalogue.")
    filters: dict[Annotated[str, StringConstraints(max_length=256)], Values] = Field(
        default_factory=dict, max_length=20, description="Only items with one of these values, by attribute; also `category` and `tags`."
    )
    diversity: float | None = Field(None, ge=0, le=1, description="0 the best scores alone, 1 the most different; null as configured.")
    say: str = Field("", max_length=MAX_TEXT, description="A turn of the conversation: more like this, less of that, not this brand.")
    conversation: Token | None = Field(None, description="Of the last answer: what was said before.")


class Reason(BaseModel):
    """Why an item: a path of edges that exist and what its score owes to it."""

    kind: str = Field(description="interest, entity, link, others, query, popular ...")
    text: str = Field(description="In words.")
    path: list[str] = Field(default_factory=list, description="Nodes and relations in turn, from the user or the query to the item.")
    share: float | None = Field(None, description="What the score loses without that path.")


class Recommended(BaseModel):
    """One item of a list."""

    rank: int
    item_id: str
    title: str
    category: str
    score: float = Field(ge=-1, le=1, description="Comparable within a rung.")
    rung: str
    reasons: list[Reason]
    moved: list[str] = Field(default_factory=list, description="What re-ranking did to it, in words.")
    propensity: float | None = Field(None, description="Of an explored slot: how likely this item was to be drawn for it.")


class Understanding(BaseModel):
    """One thing a turn was understood to say."""

    sense: Literal["more", "less"]
    kind: Literal["item", "attribute", "interest", "text", "nothing"]
    id: str
    name: str


class ReleaseInfo(BaseModel):
    """Which release answered, and how old it is."""

    release: str
    as_of: datetime = Field(description="End of the day it was computed for, UTC.")
    age_seconds: float
    is_stale: bool


class RecommendAnswer(ReleaseInfo):
    """A list, best first."""

    items: list[Recommended]
    rung: str = Field(description="Which rung of the ladder the first item is of: personal, fold_in, text, interest, segment or popular.")
    cursor: str | None = Field(description="For the next page; null at the end.")
    impression: str = Field(description="Goes with feedback about what was shown.")
    conversation: str = Field(description="Goes with the next turn.")
    understood: list[Understanding] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list, description="What was ignored, and why.")


class Found(ReleaseInfo):
    """What is known of one user or item."""

    id: str
    is_found: bool
    features: dict[str, Any]


class Similar(ReleaseInfo):
    """Who or what is alike, closest first."""

    id: str
    similar: list[dict[str, Any]]


class InterestsOfDay(BaseModel):
    """What a user was most interested in at the end of one day, strongest first: names and weights."""

    day: date
    interests: list[dict[str, Any]]


class History(ReleaseInfo):
    """How a user's interests came to be, oldest day first."""

    id: str
    days: list[InterestsOfDay]


class InterestAnswer(ReleaseInfo):
    """A named interest and the items most about it."""

    id: str
    name: str
    features: dict[str, Any]
    items: list[dict[str, Any]]


class FeedbackAnswer(BaseModel):
    """Durable, and in effect, when this is answered."""

    id: str = Field(description="The idempotency key.")
    event_id: str = Field(description="Its id among raw events.")
    event_at: datetime = Field(description="When it was accepted first, UTC.")

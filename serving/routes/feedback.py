"""`POST /v1/feedback`: what a user says of something shown, durable before it is acknowledged."""

import logging
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from ml.errors import FeedbackError, KeyReusedError, SignedTextError
from serving.access.impressions import Subject
from serving.feedback.entry import KINDS, MAX_ID_CHARACTERS, MAX_TEXT_CHARACTERS, Feedback, ShownAs
from serving.problems import GUARDED, Problem, Refused, documented
from serving.schemas import FeedbackAnswer, Id, Strict, Token
from serving.service import Service, TheService

log = logging.getLogger(__name__)

NOT_KEPT = Problem(
    503, "not-kept", "feedback cannot be kept now; nothing of this was, send it again under the same id", {"retry-after": "5"}
)

router = APIRouter(responses=documented(*GUARDED, 409))


class FeedbackRequest(Strict):
    """One thing a user says; of an item only with the impression of the answer that showed it."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARACTERS)] = Field(
        description="Idempotency key, the client's choice: sent again it counts once."
    )
    user_id: Id
    kind: str = Field(description="click, like, dislike, hide, purchase, rating or text.")
    item_id: Id | None = None
    value: float | None = Field(None, allow_inf_nan=False, description="Of a rating.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)] | None = None
    session_id: Id | None = None
    impression: Token | None = Field(None, description="Of the answer that showed the item.")


@router.post("/v1/feedback")
async def feedback_route(given: FeedbackRequest, service: TheService) -> FeedbackAnswer:
    """Keeps it, counts it in the very next answer, and hands it to the next refresh as an event."""
    try:
        feedback = Feedback(given.id, given.user_id, given.kind, given.item_id, given.value, given.text, given.session_id)
        feedback = replace(feedback, shown=_shown(given, service))
        accepted = (await service.feedback.accept([feedback]))[0]
    except ValueError as error:
        raise _refused(given, service, 422, "not-feedback", error) from error
    except SignedTextError as error:
        raise _refused(given, service, 422, "not-shown", error) from error
    except KeyReusedError as error:
        raise _refused(given, service, 409, "id-reused", error) from error
    except FeedbackError as error:
        # Where the log lies, and what is wrong with the disk, is not the caller's to know.
        log.error("feedback is not kept: %s", error)
        service.metrics.feedback_came(kind=given.kind, outcome="not-kept")
        raise Refused(NOT_KEPT) from error
    service.metrics.feedback_came(kind=given.kind, outcome="accepted")
    return FeedbackAnswer(id=given.id, event_id=accepted.event_id, event_at=accepted.event_at)


def _shown(given: FeedbackRequest, service: Service) -> ShownAs | None:
    """How the item was shown, None without one; raises `SignedTextError` for an item that no answer of ours showed this user."""
    if given.item_id is None:
        return None
    if given.impression is None:
        raise SignedTextError("malformed", "feedback on an item needs the impression of the answer that showed it; send it along")
    subject = Subject("user", given.user_id)
    found = service.signers.impressions.verify(given.impression, item_id=given.item_id, subject=subject, now=service.now())
    return ShownAs(found.release_id, found.rank, found.propensity)


def _refused(given: FeedbackRequest, service: Service, status: int, name: str, error: Exception) -> Refused:
    kind = given.kind if given.kind in KINDS else "other"
    service.metrics.feedback_came(kind=kind, outcome=name)
    return Refused(Problem(status, name, str(error)))

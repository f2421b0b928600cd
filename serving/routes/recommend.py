"""`POST /v1/recommend`: for a user, a text, a session, or nobody in particular."""

from fastapi import APIRouter, Request

from ml.errors import SignedTextError
from serving.feedback.statements import UserFeedback
from serving.problems import GUARDED, Problem, Refused, documented
from serving.recommending import Context, recommend
from serving.record import record_of
from serving.schemas import RecommendAnswer, RecommendRequest
from serving.service import TheService, TheSnapshot

router = APIRouter(responses=documented(*GUARDED))


@router.post("/v1/recommend")
def recommend_route(asked: RecommendRequest, request: Request, service: TheService, snapshot: TheSnapshot) -> RecommendAnswer:
    """The best items, each with its reasons. A new user, an unknown item or an empty text is no error."""
    record = record_of(request.scope)
    most = snapshot.config.serving.max_k
    if asked.k > most:
        raise Refused(
            Problem(422, "k-too-large", f"k is {asked.k}, this service gives {most} items at once (serving.max_k); page with cursor")
        )
    inside = service.border.inward(asked.user_id) if asked.user_id is not None else None
    context = Context(
        said=service.feedback.recent.of(inside, since=snapshot.knows_until) if inside is not None else UserFeedback(),
        request_id=record.request_id,
        now=service.now(),
        inside_user_id=inside,
        endpoint=service.endpoint,
    )
    try:
        answer = recommend(snapshot, asked, context=context, signers=service.signers)
    except SignedTextError as error:
        raise Refused(Problem(422, "unusable-token", str(error))) from error
    record.rung = answer.rung
    service.metrics.answered(answer.rung, num_explored=sum(item.propensity is not None for item in answer.items))
    return answer

"""Look-ups of one user, item or interest: profiles, neighbours, and how interests came to be over the days.

Ids may hold slashes, so they are paths; a longer route stands before the shorter one that would take it for an id.
"""

from datetime import date, timedelta
from typing import Annotated, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Query

from feature_repo.lookup import Service as Feature
from ml.errors import UnknownIdError
from serving.problems import GUARDED, Problem, Refused, documented
from serving.recommending import release_info
from serving.schemas import MAX_K, Found, History, InterestAnswer, InterestsOfDay, Similar
from serving.service import Service, TheService, TheSnapshot
from serving.snapshot import Snapshot

router = APIRouter(prefix="/v1", responses=documented(*GUARDED))

AnId = Annotated[str, Path(min_length=1, max_length=256)]
K = Annotated[int, Query(ge=1, le=MAX_K)]
MOST_DAYS = 60
# Vectors are for models, not for people; Feast's server gives them.
_HIDDEN = frozenset({"embedding", "release_id"})


@router.get("/users/{user_id:path}/profile")
def profile(user_id: AnId, service: TheService, snapshot: TheSnapshot) -> Found:
    """Named interests and activity; somebody unknown is found not, and no error."""
    return _found(service, snapshot, kind="user_profile", inside=service.border.inward(user_id), shown_id=user_id)


@router.get("/users/{user_id:path}/history")
def history(user_id: AnId, service: TheService, snapshot: TheSnapshot, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 14) -> History:
    """The strongest interests on each of the last days that were computed, oldest first."""
    inside = service.border.inward(user_id)
    last = [day for day in service.tables.days("user_profiles") if snapshot.day - timedelta(days=days) < day <= snapshot.day]
    told = [InterestsOfDay(day=day, interests=_interests(service, inside, day=day)) for day in last]
    return History(**release_info(snapshot, now=service.now()), id=user_id, days=told)


@router.get("/users/{user_id:path}/similar")
def similar_users(user_id: AnId, service: TheService, snapshot: TheSnapshot, k: K = 10) -> Similar:
    """People of like interests, closest first; none for somebody unknown."""
    rows = snapshot.neighbours.of_user(service.border.inward(user_id), k=k)
    told = [{**row, "similar_user_id": service.border.outward(str(row["similar_user_id"]))} for row in rows]
    return Similar(**release_info(snapshot, now=service.now()), id=user_id, similar=told)


@router.get("/items/{item_id:path}/similar")
def similar_items(item_id: AnId, service: TheService, snapshot: TheSnapshot, k: K = 10) -> Similar:
    """Nearest items, closest first; none for an unknown one."""
    catalogue = snapshot.catalogue
    rows = snapshot.neighbours.of_item(item_id, k=k)
    titles = [catalogue.title_I[int(catalogue.positions([str(row["similar_item_id"])])[0])] for row in rows]
    told = [{**row, "title": title} for row, title in zip(rows, titles, strict=True)]
    return Similar(**release_info(snapshot, now=service.now()), id=item_id, similar=told)


@router.get("/items/{item_id:path}")
def item(item_id: AnId, service: TheService, snapshot: TheSnapshot) -> Found:
    """Title, category, named interests, popularity."""
    return _found(service, snapshot, kind="item_profile", inside=item_id, shown_id=item_id)


@router.get("/interests/{interest_id:path}")
def interest(interest_id: AnId, service: TheService, snapshot: TheSnapshot, k: K = 10) -> InterestAnswer:
    """A named interest and the items most about it. Unknown: 404."""
    try:
        return _interest(snapshot, interest_id, service=service, k=k)
    except UnknownIdError as error:
        raise Refused(Problem(404, "unknown-interest", f"{error}; the profile of a user names interests that exist")) from error


def _found(service: Service, snapshot: Snapshot, *, kind: Feature, inside: str, shown_id: str) -> Found:
    found = service.lookup.get(kind, inside, now=service.now())
    if not found.is_found or found.as_of is None:
        # That nobody is known by that id is the live release's word.
        return Found(**release_info(snapshot, now=service.now()), id=shown_id, is_found=False, features={})
    return Found(
        id=shown_id,
        is_found=True,
        features={name: value for name, value in found.features.items() if name not in _HIDDEN},
        release=str(found.features["release_id"]),
        as_of=found.as_of,
        age_seconds=(service.now() - found.as_of).total_seconds(),
        is_stale=found.is_stale,
    )


def _interests(service: Service, inside: str, *, day: date) -> list[dict[str, Any]]:
    """Names and weights on one day, strongest first; reads that day's file."""
    columns = ["user_id", "interest_names", "interest_weights"]
    rows = pq.read_table(service.tables.path("user_profiles", day), columns=columns, filters=pc.field("user_id") == inside).to_pylist()
    return [
        {"name": name, "weight": weight}
        for row in rows
        for name, weight in zip(row["interest_names"], row["interest_weights"], strict=True)
    ]


def _interest(snapshot: Snapshot, interest_id: str, *, service: Service, k: int) -> InterestAnswer:
    index = snapshot.query
    position = int(index.points.interests.positions([interest_id])[0])
    weight_I = index.about_IT[:, [position]].toarray().reshape(-1)
    best = (-weight_I).argsort(kind="stable")[:k]
    ids = index.items.take(best).to_pylist()
    titles = snapshot.names.of("item", index.items.take(best)).to_pylist()
    row = snapshot.interest_points.filter(pc.equal(snapshot.interest_points.column("interest_id"), interest_id)).to_pylist()[0]
    items = [
        {"item_id": item_id, "title": title, "weight": float(weight_I[place])}
        for item_id, title, place in zip(ids, titles, best.tolist(), strict=True)
        if weight_I[place] > 0
    ]
    hidden = {"interest_id", "name", "vector", "space_id"}
    return InterestAnswer(
        **release_info(snapshot, now=service.now()),
        id=interest_id,
        name=row["name"],
        features={name: value for name, value in row.items() if name not in hidden},
        items=items,
    )

"""The recommendation service over a finished world, asked over HTTP as its clients ask."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import schemathesis
from anyio import to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from feature_repo.generations import GenerationStore
from ml.contracts import CONTRACTS
from ml.contracts.outputs import RELEASE_DECISIONS
from ml.errors import FeedbackError
from ml.ranking.paths import path_exists
from orchestration.answers import query_answers
from orchestration.encoders import encoder_of_day
from serving.app import RULES, Served, build_service, service_app
from serving.feedback.segments import read_accepted
from serving.feedback.statements import UserFeedback
from serving.recommending import Context, recommend
from serving.schemas import RecommendRequest

from .conftest import SEARCHER, World


class Clock:
    """A clock that tests may move."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def world(finished_world, tmp_path_factory) -> World:
    """A copy, for feedback is an event of the next run."""
    return finished_world.copied(tmp_path_factory.mktemp("service") / "home")


@pytest.fixture(scope="module")
def scope(world):
    return world.scope()


@pytest.fixture(scope="module")
def clock(world) -> Clock:
    return Clock(datetime.combine(world.last, datetime.min.time(), UTC) + timedelta(days=1, hours=3))


def served_of(scope) -> Served:
    # Whatever the machine: tests ask more often than a client may.
    config = scope.config.model_copy(update={"serving": scope.config.serving.model_copy(update={"burst": 10**6})})
    return Served(scope.home, scope.dataset, config, open_encoder=lambda day: encoder_of_day(scope, day))


@pytest.fixture(scope="module")
def service(scope, clock):
    return build_service(served_of(scope), now=clock)


@pytest.fixture(scope="module")
def client(scope, service) -> Iterator[TestClient]:
    with TestClient(service_app(service, served=served_of(scope)), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def ask(client):
    def ask(expected: int = 200, **request):
        answer = client.post("/v1/recommend", json=request)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return ask


@pytest.fixture(scope="module")
def users(service) -> list[str]:
    """Known users with likes, those with the most first."""
    taste = service.live.current.taste
    likes = taste._num_likes_U
    ids = taste.users.ids.to_pylist()
    return [ids[place] for place in (-likes).argsort(kind="stable").tolist() if likes[place] > 0]


def shown(answer) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def feedback(client, answer, *, item, kind, user, key, expected=200, **more):
    request = {"id": key, "user_id": user, "item_id": item, "kind": kind, "impression": answer["impression"]} | more
    found = client.post("/v1/feedback", json=request)
    assert found.status_code == expected, found.text
    return found.json()


def test_it_is_ready_and_says_which_release_answers(client, service, ask, world) -> None:
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["day"]) == ("ready", world.last.isoformat())
    answer = ask()
    assert answer["release"] == service.live.current.release_id == ready["release"]
    assert (answer["age_seconds"], answer["is_stale"]) == (3 * 3600, False)


def test_who_may_not_ask_learns_of_no_file(client, service, monkeypatch) -> None:
    monkeypatch.setattr(service.live, "problem", "/some/where/tables: is missing")
    ready = client.get("/readyz")
    assert "log says why" in ready.json()["problem"]
    assert "/some" not in ready.text


@pytest.mark.parametrize(
    ("request_", "rung"),
    [
        ({"user_id": "somebody never seen"}, "popular"),
        ({}, "popular"),
        ({"text": "a warm sleeping bag"}, "text"),
        ({"text": "露营 帐篷"}, "text"),
        ({"text": "   "}, "popular"),
        ({"user_id": SEARCHER}, "interest"),
        ({"items": ["no such item"]}, "popular"),
    ],
)
def test_nothing_is_an_error_and_the_rung_is_named(ask, request_, rung) -> None:
    answer = ask(**request_)
    assert answer["rung"] == rung
    assert len(answer["items"]) == 10
    assert all(-1 <= item["score"] <= 1 and item["reasons"] for item in answer["items"])
    scores = [item["score"] for item in answer["items"] if item["rung"] == rung]
    assert scores == sorted(scores, reverse=True)


def test_a_known_user_is_answered_by_the_release_itself(ask, users, world) -> None:
    store = world.scope().store
    listed = store.read(CONTRACTS["recommendations"], day=world.last)
    for user in users[:5]:
        answer = ask(user_id=user)
        assert answer["rung"] == "personal"
        of_user = listed.filter(pc.equal(listed.column("user_id"), user)).sort_by("rank")
        assert shown(answer) == of_user.column("item_id").to_pylist()[:10], "online and the batch table are one model"
        assert [item["score"] for item in answer["items"]] == pytest.approx(of_user.column("score").to_pylist()[:10], abs=1e-5)


def test_reasons_are_paths_that_exist_and_carry_their_share(ask, users, service) -> None:
    graph, num_paths = service.live.current.graph, 0
    for user in users[:10]:
        for item in ask(user_id=user)["items"]:
            for reason in item["reasons"]:
                assert reason["text"]
                if reason["path"]:
                    num_paths += 1
                    assert path_exists(graph, reason["path"]), reason
                    assert reason["path"][0] == f"user:{user}"
                    assert reason["path"][-1] == f"item:{item['item_id']}"
                    assert reason["share"] > 0
    assert num_paths > 50


def test_a_session_of_items_is_folded_in_at_once(ask, users, service) -> None:
    liked = shown(ask(user_id=users[0]))[:3]
    answer = ask(items=[*liked, "unknown"])
    assert answer["rung"] == "fold_in"
    assert not set(shown(answer)) & set(liked)
    assert answer["notes"] == ["items: not in the catalogue and ignored: unknown"]
    assert shown(ask(items=liked)) == shown(answer)


def test_a_text_is_moved_by_the_taste_of_who_asks(ask, users) -> None:
    alone, first, second = (
        ask(text="something for the kitchen"),
        *(ask(text="something for the kitchen", user_id=user) for user in users[:2]),
    )
    assert {alone["rung"], first["rung"], second["rung"]} == {"text"}
    assert len({tuple(shown(answer)) for answer in (alone, first, second)}) == 3


@pytest.mark.parametrize("text", ["a warm sleeping bag", "露营 帐篷", "适合登山的外套", "xyzzy"])
def test_a_text_is_answered_as_on_the_command_line(ask, service, scope, world, text) -> None:
    told = {row["item_id"]: row for row in query_answers(scope, text, k=10_000, day=world.last)}
    highest = service.live.current.query.highest_score
    for asking in ({}, {"user_id": "somebody never seen"}):
        found = [item for item in ask(text=text, **asking)["items"] if item["rung"] == "text"]
        assert found
        for item in found:
            row = told[item["item_id"]]
            assert item["score"] == pytest.approx(row["score"] / highest, abs=1e-4)
            assert (item["reasons"][0]["text"], item["reasons"][0]["path"]) == (row["reason"], row["path"])


def test_pages_repeat_nothing_and_end_where_the_catalogue_ends(ask, users, service) -> None:
    seen, cursor, pages = [], None, 0
    while True:
        answer = ask(user_id=users[0], k=40, cursor=cursor)
        seen += shown(answer)
        cursor, pages = answer["cursor"], pages + 1
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    snapshot = service.live.current
    met = set(snapshot.taste.items.take(snapshot.taste.met(users[0])).to_pylist())
    assert set(seen) == set(snapshot.catalogue.items.ids.to_pylist()) - met
    assert pages == -(-len(seen) // 40) + (len(seen) % 40 == 0)


def test_limits_are_kept(ask, users, service) -> None:
    first = ask(user_id=users[0])
    assert not set(shown(ask(user_id=users[0], exclude=shown(first)))) & set(shown(first))
    allowed = shown(first)[3:6]
    assert shown(ask(user_id=users[0], allow=[*allowed, "zzz"])) == allowed
    assert ask(user_id=users[0], allow=[])["items"] == []
    catalogue = service.live.current.catalogue
    brand = sorted(catalogue.values["brand"].values())[0]
    answer = ask(filters={"brand": [brand.upper()]}, k=5)
    assert answer["rung"] == "segment"
    assert {catalogue.attributes_I[place]["brand"] for place in catalogue.positions(shown(answer)).tolist()} == {(brand,)}
    nothing = ask(filters={"brandd": ["x"]})
    assert nothing["items"] == []
    assert nothing["notes"][0].startswith("filters: no item has brandd, so nothing matches; items have brand,")


def test_a_conversation_refines_the_answer_and_says_what_it_understood(ask, users, service) -> None:
    catalogue = service.live.current.catalogue
    answer = ask(user_id=users[0])
    brand = next(catalogue.attributes_I[place]["brand"][0] for place in catalogue.positions(shown(answer)).tolist())
    refined = ask(user_id=users[0], say=f"not {brand}", conversation=answer["conversation"])
    assert refined["understood"] == [{"sense": "less", "kind": "attribute", "id": "brand", "name": brand}]
    assert all(catalogue.attributes_I[place].get("brand") != (brand,) for place in catalogue.positions(shown(refined)).tolist())
    again = ask(user_id=users[0], say="more like the third one", conversation=refined["conversation"])
    assert again["understood"][0] == {"sense": "more", "kind": "item", "id": shown(refined)[2], "name": refined["items"][2]["title"]}
    assert all(catalogue.attributes_I[place].get("brand") != (brand,) for place in catalogue.positions(shown(again)).tolist())
    assert shown(again) != shown(refined)


def test_tokens_that_are_not_ours_are_refused_exactly(ask, users) -> None:
    answer = ask(user_id=users[0])
    for name in ("cursor", "conversation"):
        broken = ask(422, user_id=users[0], **{name: answer[name][:-2] + "xx"})
        assert broken["status"] == 422
        assert re.search("send the (cursor|conversation) as it was given|not of this service", broken["detail"])
    assert ask(422, user_id=users[0], cursor=answer["conversation"])["status"] == 422, "a text signed for one purpose is no other"


def test_feedback_counts_at_once_once_and_after_a_restart(scope, clock, client, service, ask, users) -> None:
    user = users[1]
    before = ask(user_id=user)
    liked, disliked = shown(before)[0], shown(before)[1]
    first = feedback(client, before, item=liked, kind="like", user=user, key="k-like")
    assert feedback(client, before, item=liked, kind="like", user=user, key="k-like") == first
    feedback(client, before, item=disliked, kind="dislike", user=user, key="k-dislike")
    after = ask(user_id=user)
    assert not {liked, disliked} & set(shown(after))
    assert [item["score"] for item in after["items"]] != [item["score"] for item in before["items"]][2:]
    assert ask(user_id=users[2])["items"] == ask(user_id=users[2])["items"]
    lines = [json.loads(line) for path in sorted(scope.home.feedback.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert [(line["event_id"], line["item_id"], line["event_type"]) for line in lines] == [
        ("feedback:k-like", liked, "like"),
        ("feedback:k-dislike", disliked, "dislike"),
    ]
    feedback(client, before, item=disliked, kind="like", user=user, key="k-like", expected=409)


def test_feedback_only_on_what_was_shown_to_whom_it_was_shown(client, clock, ask, users) -> None:
    answer = ask(user_id=users[3])
    item = shown(answer)[0]
    other = feedback(client, answer, item=item, kind="like", user=users[4], key="k1", expected=422)
    assert other["detail"].startswith("other subject")
    never = feedback(client, answer, item="i99999", kind="like", user=users[3], key="k2", expected=422)
    assert never["detail"].startswith("not shown")
    without = client.post("/v1/feedback", json={"id": "k3", "user_id": users[3], "item_id": item, "kind": "like"})
    assert without.status_code == 422
    assert "needs the impression" in without.json()["detail"]
    unknown = feedback(client, answer, item=item, kind="adore", user=users[3], key="k4", expected=422)
    assert "click, like, dislike" in unknown["detail"]
    feedback(client, answer, item=item, kind="rating", user=users[3], key="k5", expected=422)
    clock.now += timedelta(hours=25)
    expired = feedback(client, answer, item=item, kind="like", user=users[3], key="k6", expected=422)
    assert expired["detail"].startswith("expired")
    clock.now -= timedelta(hours=25)


def test_a_disliked_item_stays_away_while_the_next_release_takes_over(client, service, ask, clock) -> None:
    """What the next release knows is known to it alone: answers of the one before it still need to be told."""
    answer = ask(user_id="switcher", k=3)
    item = shown(answer)[0]
    feedback(client, answer, item=item, kind="hide", user="switcher", key="switch")
    recent, since = service.feedback.recent, service.live.current.knows_until
    recent.come_into_force(clock() + timedelta(days=1))
    assert item not in shown(ask(user_id="switcher", k=100))
    recent.come_into_force(since)


def test_feedback_is_logged_with_how_the_item_was_shown(scope, client, service, clock) -> None:
    answer = answered_with(service, clock, reranking={"exploration": 0.5}, user_id="explorer", k=4)
    drawn = answer.items[-1]
    assert drawn.propensity is not None
    for said in ("first", "again"):
        other = answer if said == "first" else answered_with(service, clock, reranking={}, user_id="explorer", k=100)
        feedback(client, {"impression": other.impression}, item=drawn.item_id, kind="like", user="explorer", key="shown")
    (kept,) = (
        found.feedback
        for found in read_accepted(scope.home.feedback, since=datetime.min.replace(tzinfo=UTC))
        if found.feedback.key == "shown"
    )
    assert (kept.shown.release_id, kept.shown.rank) == (answer.release, drawn.rank)
    assert kept.shown.propensity == pytest.approx(drawn.propensity)


def test_what_cannot_be_kept_is_told_without_where(client, service, ask, monkeypatch) -> None:
    async def fails(_):
        raise FeedbackError("the feedback log /srv/secret/place cannot be written")

    monkeypatch.setattr(service.feedback, "accept", fails)
    found = client.post("/v1/feedback", json={"id": "f", "user_id": "u", "kind": "text", "text": "a"})
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")
    assert "/srv" not in found.text


def test_the_same_request_has_the_same_answer(ask, users) -> None:
    first, second = (ask(user_id=users[5], k=20, diversity=0.5) for _ in range(2))
    assert shown(first) == shown(second)
    plain = ask(user_id=users[5], k=20, diversity=0.0)
    assert shown(plain) != shown(first)
    assert any("variety" in note for item in first["items"] for note in item["moved"])


def test_look_ups(client, users, service, world) -> None:
    user = users[0]
    profile = client.get(f"/v1/users/{user}/profile").json()
    assert profile["is_found"]
    assert profile["features"]["interest_names"]
    assert "embedding" not in profile["features"]
    history = client.get(f"/v1/users/{user}/history").json()["days"]
    assert history[-1]["day"] == world.last.isoformat()
    assert [one["name"] for one in history[-1]["interests"]] == profile["features"]["interest_names"]
    nobody = client.get("/v1/users/nobody/profile").json()
    assert (nobody["is_found"], nobody["release"], nobody["as_of"]) == (False, profile["release"], profile["as_of"])
    assert client.get("/v1/users/nobody/similar").json()["similar"] == []
    assert len(client.get(f"/v1/users/{user}/similar", params={"k": 3}).json()["similar"]) == 3
    item = service.live.current.catalogue.items.ids[0].as_py()
    assert client.get(f"/v1/items/{item}").json()["features"]["title"]
    assert len(client.get(f"/v1/items/{item}/similar", params={"k": 4}).json()["similar"]) == 4
    assert client.get("/v1/items/an/id/with/slashes").json()["is_found"] is False
    interest = service.live.current.query.points.interests.ids[0].as_py()
    assert client.get(f"/v1/interests/{interest}").json()["id"] == interest
    assert client.get("/v1/interests/none").status_code == 404


def test_requests_that_are_none_say_what_is_wrong(client) -> None:
    wrong = client.post("/v1/recommend", json={"k": 0, "usr": "x"})
    assert wrong.status_code == 422
    assert "usr" in wrong.text
    assert "Traceback" not in wrong.text
    assert client.post("/v1/recommend", content=b"{").status_code == 422
    assert client.get("/v1/nothing").status_code == 404
    assert "this service gives 100 items at once" in client.post("/v1/recommend", json={"k": 101}).json()["detail"]


def test_the_release_is_what_the_pointer_names_whatever_the_day_was_made_by_since(world, tmp_path) -> None:
    """As after a rollback of a corrected day, whose tables are the correction's."""
    copy = world.copied(tmp_path / "home").scope()
    live = GenerationStore(copy.home).live()
    row = copy.store.read(RELEASE_DECISIONS, day=live.day).to_pylist()[0]
    later = pa.Table.from_pylist([row | {"release_id": "20990101-000000000000"}], schema=RELEASE_DECISIONS.schema)
    copy.store.write(RELEASE_DECISIONS, later, day=live.day)
    service = build_service(served_of(copy))
    assert service.live.current is not None, service.live.problem
    assert service.live.current.release_id == live.release_id
    service.feedback.close()
    service.pusher.close()


def answered_with(service, clock, *, reranking, said=UserFeedback(), **request):  # noqa: B008
    """What a request is answered with under other rules of re-ranking."""
    snapshot = service.live.current
    config = snapshot.config.model_copy(update={"reranking": snapshot.config.reranking.model_copy(update=reranking)})
    context = Context(said=said, request_id="r", now=clock(), inside_user_id=None)
    return recommend(replace(snapshot, config=config), RecommendRequest(**request), context=context, signers=service.signers)


def test_caps_hold_over_all_rungs_of_a_list_and_pages_go_on(service, clock) -> None:
    # A text is answered from embedded items; filled up with what is popular, caps count both.
    allow = service.live.current.catalogue.items.ids.to_pylist()
    pages, cursor = [], None
    while not pages or cursor:
        answer = answered_with(service, clock, reranking={"caps": {"category": 1}}, text="tent", allow=allow, k=40, cursor=cursor)
        pages, cursor = [*pages, answer.items], answer.cursor
    for page in pages:
        labels = [item.category for item in page if item.category]
        assert len(set(labels)) == len(labels)
    told = [item.item_id for page in pages for item in page]
    assert len(pages) > 2
    assert sorted(told) == sorted(allow), "caps bound a list, not what can be paged through"


def test_a_pool_full_of_what_is_out_of_stock_empties_no_list(service, clock, monkeypatch) -> None:
    monkeypatch.setattr("serving.answering.POOL_TIMES", 1)
    monkeypatch.setattr("serving.answering.POOL_LEAST", 1)
    catalogue = service.live.current.catalogue
    brand_of = {item: of.get("brand", ()) for item, of in zip(catalogue.items.ids.to_pylist(), catalogue.attributes_I, strict=True)}
    best = answered_with(service, clock, reranking={}, k=3)
    gone = {brand for item in best.items for brand in brand_of[item.item_id]}
    assert gone
    answer = answered_with(service, clock, reranking={"stock_attribute": "brand", "out_of_stock_values": tuple(sorted(gone))}, k=3)
    assert len(answer.items) == 3
    assert not {brand for item in answer.items for brand in brand_of[item.item_id]} & gone


@pytest.mark.parametrize("body", [r'{"filters": {"\ud83d": ["a"]}}', r'{"\ud83d": 1}', r'{"filters": {"a": ["\ud83d"]}}'])
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(client, body) -> None:
    found = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert (found.status_code, found.json()["type"]) == (422, "urn:interest-graph:problem:invalid-request")


def test_no_more_is_computed_at_once_than_there_are_threads_for(client, scope) -> None:
    async def number() -> float:
        return to_thread.current_default_thread_limiter().total_tokens

    assert client.portal.call(number) == scope.config.serving.threads


def test_metrics_count_rungs_and_hold_no_personal_data(client, ask, users) -> None:
    ask(user_id=users[0])
    told = client.get("/metrics").text
    assert 'interest_graph_answers_total{rung="personal"}' in told
    assert "interest_graph_release_age_seconds 10800.0" in told
    assert users[0] not in told


# As the OpenAPI description writes them: without converters, and without what is not in it.
DESCRIBED = sorted((method, path) for method, path in RULES.table if ":path" not in path and path not in {"/", "/docs", "/openapi.json"})
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def description(client):
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def told(service, client, users) -> dict[str, object]:
    """What a client would know: ids and tokens of a real answer."""
    answer = client.post("/v1/recommend", json={"user_id": users[-1], "k": 3}).json()
    interest = service.live.current.query.points.interests.ids[0].as_py()
    tokens = {name: answer[name] for name in ("cursor", "conversation", "impression")}
    return {"user_id": users[-1], "item_id": shown(answer)[0], "interest_id": interest, "items": shown(answer), **tokens}


def test_every_described_route_is_fuzzed(description) -> None:
    assert sorted((method.upper(), path) for path, operations in description.items() for method in operations) == DESCRIBED


@pytest.mark.parametrize(("method", "path"), DESCRIBED)
def test_whatever_is_sent_the_answer_is_as_described(client, description, told, method, path) -> None:
    """Half of the requests are well formed, half are not; in half of both what names something names something that is there."""
    operation = description[path][method]
    cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
    statuses = set()

    @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases, is_known=st.booleans())
    def fuzz(case, is_known) -> None:
        if is_known:
            case.path_parameters = {name: told.get(name, value) for name, value in (case.path_parameters or {}).items()}
            if isinstance(case.body, dict):
                case.body = case.body | {name: told[name] for name in case.body if name in told}
        answer = client.request(**case.as_transport_kwargs(base_url=str(client.base_url)))
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)
        assert not re.search(r"Traceback|\.py\b|site-packages", answer.text)
        if not answer.is_success and answer.status_code != 404:
            assert answer.json()["detail"]

    fuzz()
    assert statuses & {200, 409, 422}, "all was refused before it came to the route"


def test_feedback_is_in_effect_after_a_restart(scope, clock, client, service, ask, users) -> None:
    """The last test here: it takes the log from the first service."""
    user = users[6]
    before = ask(user_id=user)
    feedback(client, before, item=shown(before)[0], kind="purchase", user=user, key="k-restart")
    expected = shown(ask(user_id=user))
    service.feedback.close()
    again = build_service(replace(served_of(scope)), now=clock)
    with TestClient(service_app(again, served=served_of(scope)), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as other:
        answer = other.post("/v1/recommend", json={"user_id": user}).json()
    assert shown(answer) == expected

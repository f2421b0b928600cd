"""The way back: release and features move together, while they are read, and the days after it go on as they should."""

# ruff: noqa: F811  (fixtures are imported by name)

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from feature_repo.generations import GenerationStore
from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish
from feature_repo.server import feature_app
from ml.config import PipelineConfig
from ml.contracts.outputs import RELEASE_DECISIONS
from ml.errors import PublishError, ReleaseError
from orchestration.assets.features import why_not_online
from orchestration.cli import app
from orchestration.rollback import roll_back
from orchestration.scope import Scope
from tests.feature_repo.conftest import FIRST, World, config, make_world, now, redis_port, world  # noqa: F401

SECOND, THIRD, FOURTH = (FIRST + timedelta(days=number) for number in (1, 2, 3))


@pytest.fixture
def scope(world, config) -> Scope:
    """The world with the feature store's settings of the test."""
    return Scope(SimpleNamespace(name="my-shop", start=FIRST), world.home, PipelineConfig(features=config))


@pytest.fixture
def go_live(world, scope, config, tmp_path):
    """Promote a release of a day and publish its features, in which ann's interest is the word; gives the release's id."""

    def make(day, word: str) -> str:
        source = tmp_path / f"candidate-{word}"
        source.mkdir()
        (source / "weights").write_text(word)
        release = scope.releases.add(source, day=day, made_from={}, documents={})
        scope.releases.promote(release.release_id, reason=word)
        world.write(day, users={"ann": word}, release=release.release_id)
        decide(scope, day, release.release_id)
        assert publish(world.home, config=config, day=day).published
        return release.release_id

    return make


def decide(scope: Scope, day, release_id: str) -> None:
    """The day's row of what is in force."""
    row = {"candidate_release_id": release_id, "has_passed": True, "last_full_fit": None, "reason": "passed", "release_id": release_id}
    scope.store.write(RELEASE_DECISIONS, pa.Table.from_pylist([row], schema=RELEASE_DECISIONS.schema), day=day)


def online(reader: FeatureLookup, now) -> tuple[str, str]:
    features = reader.get("user_profile", "ann", now=now).features
    return features["interest_names"][0], features["release_id"]


def test_going_back_while_it_is_read_takes_no_time_and_moves_both(scope, go_live, config, now) -> None:
    first, second, third = go_live(FIRST, "one"), go_live(SECOND, "two"), go_live(THIRD, "three")
    reader = FeatureLookup(scope.home, config=config)
    assert online(reader, now) == ("three", third)
    started = time.monotonic()
    done = roll_back(scope, None)
    assert online(reader, now) == ("two", second)
    assert time.monotonic() - started < 5
    assert (done.release.release_id, done.generation.day, done.generation.release_id) == (second, SECOND, second)
    assert scope.releases.current_id() == second
    # Once more goes one further back; then nothing is left, and nothing moves.
    roll_back(scope, None)
    assert online(reader, now) == ("one", first)
    with pytest.raises(ReleaseError, match="there is no release to roll back to"):
        roll_back(scope, None)
    assert (online(reader, now), scope.releases.current_id()) == (("one", first), first)


def test_the_server_goes_back_without_a_restart(scope, go_live, config) -> None:
    from fastapi.testclient import TestClient

    first, second = go_live(FIRST, "one"), go_live(SECOND, "two")
    body = {"feature_service": "user_profile", "entities": {"user_id": ["ann"]}}
    with TestClient(feature_app(scope.home, config=config)) as server:
        assert server.post("/get-online-features", json=body).headers["x-interest-graph-release"] == second
        roll_back(scope, None)
        assert server.post("/get-online-features", json=body).headers["x-interest-graph-release"] == first


def test_a_release_by_name_and_what_is_not_kept(scope, go_live, config, now) -> None:
    days = [FIRST + timedelta(days=number) for number in range(5)]
    ids = [go_live(day, f"word{number}") for number, day in enumerate(days)]
    reader = FeatureLookup(scope.home, config=config)
    kept = rf"{ids[2]} \(2026-03-03\), {ids[3]} \(2026-03-04\), {ids[4]} \(2026-03-05\)"
    with pytest.raises(PublishError, match=f"no generation of release {ids[0]} is kept online; there are: {kept}"):
        roll_back(scope, ids[0])
    with pytest.raises(ReleaseError, match="was not live before"):
        roll_back(scope, "20260101-000000000000")
    assert (online(reader, now), scope.releases.current_id()) == (("word4", ids[4]), ids[4])
    roll_back(scope, ids[2])
    assert (online(reader, now), scope.releases.current_id()) == (("word2", ids[2]), ids[2])
    assert scope.releases.rolled_back() == {ids[3], ids[4]}


def test_the_newest_generation_of_a_release_is_the_one(scope, world, go_live, config, now) -> None:
    first = go_live(FIRST, "one")
    world.write(FIRST, users={"ann": "one, corrected"}, release=first)
    publish(world.home, config=config, day=FIRST)
    go_live(SECOND, "two")
    assert roll_back(scope, None).generation.release_id == first
    assert online(FeatureLookup(scope.home, config=config), now) == ("one, corrected", first)


@pytest.mark.parametrize("crash", ["the pointer of what is online", "the pointer of releases"])
def test_killed_between_the_moves_the_same_command_completes_them(scope, go_live, config, now, monkeypatch, crash) -> None:
    go_live(FIRST, "one")
    second, third = go_live(SECOND, "two"), go_live(THIRD, "three")

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        moves = {
            "the pointer of what is online": (GenerationStore, "point_at"),
            "the pointer of releases": (type(scope.releases), "_point_at"),
        }
        patch.setattr(*moves[crash], killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(scope, None)
    assert scope.releases.current_id() == third
    roll_back(scope, None)
    assert scope.releases.current_id() == second
    assert online(FeatureLookup(scope.home, config=config), now) == ("two", second)


def test_days_after_a_rollback(scope, world, go_live, config, now) -> None:
    first, second, third = go_live(FIRST, "one"), go_live(SECOND, "two"), go_live(THIRD, "three")
    roll_back(scope, None)
    reader = FeatureLookup(scope.home, config=config)
    # The run of the day that was left asks again: its release is not live, so it stays offline.
    assert why_not_online(scope, THIRD).startswith(f"not published: {THIRD} is made by release {third}, but {second} is live")
    # A backfill of a day before the one now online is refused, with a late correction of it or without.
    world.write(FIRST, users={"ann": "one, late"}, release=first)
    assert publish(world.home, config=config, day=FIRST).reason.startswith("refused: 2026-03-02 is online and is newer than 2026-03-01")
    # A late correction of the day that is online arrives.
    assert why_not_online(scope, SECOND) is None
    world.write(SECOND, users={"ann": "two, late"}, release=second)
    assert publish(world.home, config=config, day=SECOND).published
    assert online(reader, now) == ("two, late", second)
    # The next day's release goes live and is published; going back from there skips what was left.
    fourth = go_live(FOURTH, "four")
    assert why_not_online(scope, FOURTH) is None
    assert online(reader, now) == ("four", fourth)
    assert roll_back(scope, None).release.release_id == second
    assert online(reader, now) == ("two, late", second)


def test_a_rollback_taken_back_is_a_flip_too(scope, world, go_live, config, now) -> None:
    """Promoted by hand, the day that was left is published again: its generation is kept and is not written anew."""
    go_live(FIRST, "one")
    second = go_live(SECOND, "two")
    left = GenerationStore(scope.home).live_id()
    roll_back(scope, None)
    scope.releases.promote(second, reason="by hand", force=True)
    assert why_not_online(scope, SECOND) is None
    assert publish(world.home, config=config, day=SECOND).generation_id == left
    assert online(FeatureLookup(scope.home, config=config), now) == ("two", second)


def test_a_publish_that_runs_is_let_end_first(scope, go_live) -> None:
    go_live(FIRST, "one")
    second = go_live(SECOND, "two")
    with (
        GenerationStore(scope.home).alone(),
        pytest.raises(PublishError, match="another publish or rollback of my-shop is running; let it end or stop it, then try again"),
    ):
        roll_back(scope, None)
    assert scope.releases.current_id() == second


def test_releases_go_back_where_nothing_was_ever_online(scope, tmp_path) -> None:
    ids = []
    for word in ("one", "two"):
        source = tmp_path / word
        source.mkdir()
        (source / "weights").write_text(word)
        ids.append(scope.releases.add(source, day=FIRST, made_from={}, documents={}).release_id)
        scope.releases.promote(ids[-1], reason=word)
    done = roll_back(scope, None)
    assert (done.release.release_id, done.generation) == (ids[0], None)


DATASET_FILE = """
name: my-shop
language: en
timezone: UTC
start: 2026-03-01
tables:
  events:
    - path: events.csv
      columns: {user_id: user_id, item_id: item_id, event_type: event_type, event_at: event_at}
  items:
    - path: items.csv
      columns: {item_id: item_id, title: title}
weights: {view: 1}
"""


def test_the_commands_say_what_is_live_and_what_a_rollback_could_bring_back(scope, go_live, tmp_path) -> None:
    first, second = go_live(FIRST, "one"), go_live(SECOND, "two")
    (tmp_path / "shop.yaml").write_text(DATASET_FILE)
    (tmp_path / "events.csv").write_text("user_id,item_id,event_type,event_at\nann,i1,view,2026-03-01T00:00:00Z\n")
    (tmp_path / "items.csv").write_text("item_id,title\ni1,Tent\n")
    named = ["--home", str(scope.home.root), "--dataset", str(tmp_path / "shop.yaml"), "--json"]
    listed = json.loads(CliRunner().invoke(app, ["releases", *named]).stdout)
    assert [(row["release"], row["live"], row["online"]) for row in listed] == [
        (first, False, "2026-03-01 kept"),
        (second, True, "2026-03-02 now"),
    ]
    done = CliRunner().invoke(app, ["rollback", *named])
    assert json.loads(done.stdout) == {
        "live release": first,
        "online day": "2026-03-01",
        "as of": "2026-03-02T00:00:00+00:00",
        "generation": GenerationStore(scope.home).live_id(),
    }
    listed = json.loads(CliRunner().invoke(app, ["releases", *named]).stdout)
    assert [(row["live"], row["online"]) for row in listed] == [(True, "2026-03-01 now"), (False, "2026-03-02 kept")]
    failed = CliRunner().invoke(app, ["rollback", second, *named])
    assert isinstance(failed.exception, ReleaseError)
    assert str(failed.exception) == f"release {second} was not live before {first}; those that were, oldest first: none"

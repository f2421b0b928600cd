"""Processes that are not ours: HTTP with the standard library, and Feast's SDK without our code."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from feature_repo.generations import GenerationStore
from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish
from feature_repo.server import feature_app
from ml.config.pipeline import FeatureStoreConfig
from ml.errors import PublishError

from .conftest import FIRST

SECOND = FIRST + timedelta(days=1)
USERS = {"ann": "tea", "李雷": "摄影", "quiet": ""}

ASK = """
import json, sys, urllib.error, urllib.request
address, body = sys.argv[1:]
request = urllib.request.Request(address, data=body.encode() or None, headers={"Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(json.dumps({"status": answer.status, "body": answer.read().decode()}))
except urllib.error.HTTPError as error:
    print(json.dumps({"status": error.code, "body": error.read().decode()}))
"""


def ask(port, path, body=None):
    """Ask over HTTP from a bare Python: no site packages, none of our code."""
    address = f"http://127.0.0.1:{port}{path}"
    text = json.dumps(body) if body is not None else ""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", ASK, address, text], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def features(port, service, key, ids):
    answer = ask(port, "/get-online-features", {"feature_service": service, "entities": {key: ids}})
    assert answer["status"] == 200, answer
    body = json.loads(answer["body"])
    return {name: result["values"] for name, result in zip(body["metadata"]["feature_names"], body["results"], strict=True)}


def test_a_process_that_is_not_ours_looks_up_by_http(world, config, start_server):
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    port = start_server(world, config)
    profile = features(port, "user_profile", "user_id", ["李雷", "nobody", "quiet"])
    assert profile["user_id"] == ["李雷", "nobody", "quiet"]
    assert profile["interest_names"] == [["摄影"], None, []]
    assert profile["num_interactions"] == [1, None, 1]
    assert profile["embedding"] == [[0.5, 1.0], None, []]
    listed = features(port, "recommendations", "user_id", ["李雷"])
    assert (listed["item_ids"], listed["titles"]) == ([["i1", "i2"]], [["标题 i1", "标题 i2"]])
    assert features(port, "item_profile", "item_id", ["i2"])["title"] == ["标题 i2"]
    # A publish shows without restarting the server.
    world.write(SECOND, users={"李雷": "茶"})
    publish(world.home, config=config, day=SECOND)
    assert features(port, "user_profile", "user_id", ["李雷", "ann"])["interest_names"] == [["茶"], None]
    # Look-ups only: nobody writes through the server.
    assert ask(port, "/health")["status"] == 200
    for path in ("/push", "/write-to-online-store", "/materialize", "/materialize-incremental", "/chat"):
        assert ask(port, path, {})["status"] == 404, path
    assert ask(port, "/get-online-features", {"feature_service": "no_such", "entities": {"user_id": ["ann"]}})["status"] >= 400


def documented(repository, world, number):
    """The page's n-th Python example, asking this world about 李雷."""
    examples = (repository / "docs" / "features.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = examples[number].split("```")[0].replace("u00042", "李雷").replace('"shop"', f'"{world.home.dataset}"')
    return code.replace(".interest-graph/shop/", f"{world.home.base}/").replace(".interest-graph", str(world.home.root))


OURS = "\nimport sys\nprint(sorted({name.split('.')[0] for name in sys.modules} & {'ml', 'feature_repo'}))\n"


def test_the_documented_examples_answer(world, repository, tmp_path, capsys):
    """The first runs in a process of its own that loads none of our code: it has Feast and `feature_store.yaml`."""
    world.write(FIRST, users=USERS)
    publish(world.home, config=FeatureStoreConfig(online_store="sqlite"), day=FIRST)
    code = documented(repository, world, 0) + OURS
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[['摄影']] [[1.0]]", "[]"]
    exec(documented(repository, world, 1), {})
    assert capsys.readouterr().out.startswith("True 2026-03-02 00:00:00+00:00")
    exec(documented(repository, world, 2).replace("2026-06-20", "2026-03-03"), {})
    assert "[0.5, 1.0]" in capsys.readouterr().out


@pytest.fixture
def at():
    """The server's clock, for a test to set."""
    return {"now": datetime(2026, 3, 5, tzinfo=UTC)}


@pytest.fixture
def client(world, config, at):
    """Feast's server in this process, over what is published of the world; made when it is first asked for."""
    with ExitStack() as stack:

        def start(**settings):
            app = feature_app(world.home, config=config.model_copy(update=settings), clock=lambda: at["now"])
            return stack.enter_context(TestClient(app))

        yield start


def asked(client, *ids, service="user_profile", key="user_id"):
    answer = client.post("/get-online-features", json={"feature_service": service, "entities": {key: list(ids)}})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return answer, dict(zip(body["metadata"]["feature_names"], body["results"], strict=True))


def said(answer):
    return {name[len("x-interest-graph-") :]: value for name, value in answer.headers.items() if name.startswith("x-interest-graph-")}


def test_the_server_says_which_release_answered_and_how_old_it_is(world, config, client, at):
    world.write(FIRST, users=USERS, release="r1")
    generation_id = publish(world.home, config=config, day=FIRST).generation_id
    server = client()
    expected = {"release": "r1", "generation": generation_id, "as-of": "2026-03-02T00:00:00+00:00"}
    answer, _ = asked(server, "ann")
    assert said(answer) == expected | {"age-seconds": str(3 * 86400), "stale": "false"}
    at["now"] = datetime(2026, 3, 9, tzinfo=UTC)
    assert said(asked(server, "ann")[0])["stale"] == "false"
    at["now"] += timedelta(seconds=1)
    answer, found = asked(server, "ann")
    assert said(answer) == expected | {"age-seconds": str(7 * 86400 + 1), "stale": "true"}
    assert found["interest_names"]["values"] == [["tea"]]
    # Errors too say whose they are.
    unknown = server.post("/get-online-features", json={"feature_service": "nothing", "entities": {"user_id": ["ann"]}})
    assert unknown.status_code >= 400
    assert said(unknown)["release"] == "r1"


def test_a_server_that_refuses_stale_rows_answers_null(world, config, client, at):
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    server = client(refuse_stale=True)
    _, fresh = asked(server, "ann", "nobody")
    assert fresh["interest_names"]["values"] == [["tea"], None]
    at["now"] = datetime(2026, 3, 9, 0, 0, 1, tzinfo=UTC)
    answer, found = asked(server, "ann", "nobody")
    assert found["user_id"]["values"] == ["ann", "nobody"]
    for name in found.keys() - {"user_id"}:
        assert found[name]["values"] == [None, None], name
        assert found[name]["statuses"] == ["OUTSIDE_MAX_AGE", fresh[name]["statuses"][1]], name
        assert found[name]["event_timestamps"][0] == "2026-03-02T00:00:00Z", name
    assert said(answer)["stale"] == "true"
    # The next publish is fresh again.
    world.write(SECOND, users=USERS | {"ann": "go"})
    publish(world.home, config=config, day=SECOND)
    assert asked(server, "ann")[1]["interest_names"]["values"] == [["go"]]


def test_the_server_follows_every_flip_and_closes_what_it_left(world, config, client):
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    server = client()
    for number in range(1, 6):
        world.write(FIRST + timedelta(days=number), users={"ann": f"word{number}"}, release=f"r{number}")
        generation_id = publish(world.home, config=config, day=FIRST + timedelta(days=number)).generation_id
        answer, found = asked(server, "ann", "李雷")
        assert found["interest_names"]["values"] == [[f"word{number}"], None]
        assert said(answer)["generation"] == generation_id
        assert asked(server, "i1", service="item_profile", key="item_id")[1]["release_id"]["values"] == [f"r{number}"]
    generations = GenerationStore(world.home)
    generations.point_at(generations.complete()[0])
    assert asked(server, "ann")[1]["interest_names"]["values"] == [["word3"]]


def test_a_server_without_anything_to_serve_says_so(world, config):
    with pytest.raises(PublishError, match="nothing of dataset my-shop is online"):
        feature_app(world.home, config=config)


def test_readers_meet_one_generation_or_the_next_while_publishes_run(world, config, now, client):
    """Look-ups from many threads and requests over HTTP: no answer mixes two generations (TRAPS R6), none fails."""
    many = [f"user-{number:04d}" for number in range(600)]
    some = many[::60]
    world.write(FIRST, users=dict.fromkeys(many, "word0"), release="r0")
    publish(world.home, config=config, day=FIRST)
    reader, server = FeatureLookup(world.home, config=config), client()
    seen, wrong, stop = [], [], threading.Event()

    def look_up():
        found = reader.get_many("user_profile", some, now=now)
        return {(answer.features["interest_names"][0], answer.features["release_id"], answer.generation_id) for answer in found}

    def ask_server():
        answer, found = asked(server, *some)
        rows = zip(found["interest_names"]["values"], found["release_id"]["values"], strict=True)
        return {(words[0], release, said(answer)["generation"]) for words, release in rows}

    def watch(way):
        while not stop.is_set():
            try:
                seen.append(way())
            except Exception as error:  # noqa: BLE001  any failure of a reader is the finding
                wrong.append(error)

    watchers = [threading.Thread(target=watch, args=(way,)) for way in (look_up, look_up, look_up, ask_server, ask_server)]
    for watcher in watchers:
        watcher.start()
    published = {("word0", "r0", GenerationStore(world.home).live_id())}
    try:
        for number in range(1, 5):
            world.write(FIRST, users=dict.fromkeys(many, f"word{number}"), release=f"r{number}")
            published.add((f"word{number}", f"r{number}", publish(world.home, config=config, day=FIRST).generation_id))
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()
    assert wrong == []
    assert [answers for answers in seen if len(answers) != 1] == []
    assert set().union(*seen) <= published
    assert len(set().union(*seen)) > 2
    assert {next(iter(way()))[0] for way in (look_up, ask_server)} == {"word4"}


def test_a_look_up_whose_generation_is_removed_meanwhile_asks_the_next(world, config, now, monkeypatch):
    """Three publishes within one look-up: in Redis its rows are gone by then."""
    days = [FIRST + timedelta(days=number) for number in range(4)]
    for number, day in enumerate(days):
        world.write(day, users={"ann": f"word{number}"}, release="r")
    publish(world.home, config=config, day=days[0])
    reader = FeatureLookup(world.home, config=config)
    slow = FeatureLookup._ask
    waiting = days[1:]

    def ask_slowly(self, *given, **settings):
        while waiting:
            publish(world.home, config=config, day=waiting.pop(0))
        return slow(self, *given, **settings)

    monkeypatch.setattr(FeatureLookup, "_ask", ask_slowly)
    assert reader.get("user_profile", "ann", now=now).features["interest_names"] == ["word3"]


def test_a_reader_without_our_code_holds_its_generation(world, now):
    """`feature_store.yaml` names the live generation; who has read it stays there, and SQLite serves it after it is removed."""
    from feast import FeatureStore

    config = FeatureStoreConfig(online_store="sqlite")
    world.write(FIRST, users={"ann": "word0"})
    publish(world.home, config=config, day=FIRST)
    names = {}

    def read(store):
        return store.get_online_features(store.get_feature_service("user_profile"), [{"user_id": "ann"}]).to_dict()["interest_names"]

    held = FeatureStore(repo_path=str(world.home.feature_store))
    assert read(held) == [["word0"]]
    for number in range(1, 5):
        world.write(FIRST, users={"ann": f"word{number}"})
        publish(world.home, config=config, day=FIRST)
        names[number] = read(FeatureStore(repo_path=str(world.home.feature_store)))
    assert names == {number: [[f"word{number}"]] for number in range(1, 5)}


@pytest.mark.parametrize("harm", ["gone", "empty", "no yaml", "to nowhere"])
def test_where_the_pointer_is_torn_what_is_open_goes_on_answering(world, config, now, harm, monkeypatch):
    monkeypatch.setattr("feature_repo.live.RETRY_SECONDS", 0.0)
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    reader = FeatureLookup(world.home, config=config)
    pointer = world.home.feature_store / "feature_store.yaml"
    whole = pointer.read_text()
    torn = {"empty": "", "no yaml": "{[", "to nowhere": whole.replace("000001-", "000009-")}
    pointer.unlink()
    if harm != "gone":
        pointer.write_text(torn[harm])
        with pytest.raises(PublishError):
            FeatureLookup(world.home, config=config)
    assert reader.get("user_profile", "ann", now=now).is_found
    pointer.unlink(missing_ok=True)
    pointer.write_text(whole)
    world.write(SECOND, users={"new": "tea"})
    publish(world.home, config=config, day=SECOND)
    assert reader.get("user_profile", "new", now=now).is_found

"""Processes that are not ours: HTTP with the standard library, and Feast's SDK without our code."""

import json
import subprocess
import sys
import threading
from datetime import timedelta

from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish
from ml.config.pipeline import FeatureStoreConfig

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


def test_readers_meet_one_day_or_the_next_while_a_publish_runs(world, now):
    """SQLite replaces everything in one transaction: no answer mixes two days (TRAPS R6)."""
    config = FeatureStoreConfig(online_store="sqlite")
    many = [f"user-{number:04d}" for number in range(600)]
    for day, word in ((FIRST, "one"), (SECOND, "two")):
        world.write(day, users=dict.fromkeys(many, word))
    publish(world.home, config=config, day=FIRST)
    reader = FeatureLookup(world.home, config=config)
    seen, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            answers = reader.get_many("user_profile", many[::60], now=now)
            seen.append({answer.features["interest_names"][0] for answer in answers})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        publish(world.home, config=config, day=SECOND)
    finally:
        stop.set()
        watcher.join()
    answers = reader.get_many("user_profile", many[::60], now=now)
    assert {answer.features["interest_names"][0] for answer in answers} == {"two"}
    assert len(seen) > 3
    assert [words for words in seen if len(words) != 1] == []

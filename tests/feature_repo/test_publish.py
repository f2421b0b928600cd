"""Publishing, as readers of the online store meet it: on SQLite and on a real Redis."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from feature_repo.generations import GenerationStore
from feature_repo.lookup import FeatureLookup, lookup
from feature_repo.publish import publish
from feature_repo.repository import open_store, project_name
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.errors import ConfigError, ContractError, MissingTableError, PublishError, ReleaseError

from .conftest import FIRST, REPOSITORY

SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
USERS = {"ann": "tea", "bob": "chess", "李雷": "摄影", "quiet": ""}


def interests(world, config, user, now):
    return lookup(world.home, config=config, service="user_profile", entity_id=user, now=now)["features"]["interest_names"]


def test_what_is_published_is_looked_up(world, config, now):
    world.write(THIRD, users=USERS)
    report = publish(world.home, config=config, day=THIRD)
    assert report.published
    assert report.num_rows == {"user_profiles": 4, "item_features": 2, "recommendation_lists": 4}
    assert report.num_checked == 10
    reader = FeatureLookup(world.home, config=config)
    lei = reader.get("user_profile", "李雷", now=now)
    assert lei.features["interest_names"] == ["摄影"]
    assert lei.features["embedding"] == [0.5, 3.0]
    assert (lei.as_of.isoformat(), lei.age_days, lei.is_stale) == ("2026-03-04T00:00:00+00:00", 1.0, False)
    listed = reader.get("recommendations", "李雷", now=now).features
    assert listed["item_ids"] == ["i1", "i2"]
    assert listed["reasons"] == ["因为你喜欢 摄影"] * 2
    assert reader.get("item_profile", "i2", now=now).features["title"] == "标题 i2"
    # Empty lists stay empty lists, they do not become nulls.
    quiet = reader.get("user_profile", "quiet", now=now)
    assert (quiet.is_found, quiet.features["interest_names"], quiet.features["embedding"]) == (True, [], [])
    assert reader.get("recommendations", "quiet", now=now).features["item_ids"] == []


def test_an_unknown_user_is_nulls_and_no_error(world, config, now):
    world.write(THIRD, users=USERS)
    publish(world.home, config=config, day=THIRD)
    found = FeatureLookup(world.home, config=config).get_many("user_profile", ["nobody", "ann"], now=now)
    assert [answer.is_found for answer in found] == [False, True]
    assert set(found[0].features.values()) == {None}
    assert (found[0].as_of, found[0].age_days) == (None, None)


def test_old_values_are_called_stale(world, config, now):
    world.write(THIRD, users=USERS)
    publish(world.home, config=config, day=THIRD)
    late = lookup(world.home, config=config, service="user_profile", entity_id="ann", now=now + timedelta(days=config.ttl_days))
    assert (late["is_found"], late["is_stale"], late["age_days"]) == (True, True, 8.0)


def test_an_older_day_is_refused_and_changes_nothing(world, config, now):
    world.write(FIRST, users={"ann": "old"})
    world.write(SECOND, users=USERS)
    publish(world.home, config=config, day=SECOND)
    report = publish(world.home, config=config, day=FIRST)
    assert not report.published
    assert report.reason == "refused: 2026-03-02 is online and is newer than 2026-03-01; publish the newest day"
    assert interests(world, config, "ann", now) == ["tea"]
    assert interests(world, config, "bob", now) == ["chess"]


def test_users_who_vanish_are_gone_online(world, config, now):
    world.write(FIRST, users=USERS, items=("i1", "i2", "i3"))
    publish(world.home, config=config, day=FIRST)
    world.write(SECOND, users={"ann": "tea", "李雷": "茶"}, items=("i3", "i1"))
    publish(world.home, config=config, day=SECOND)
    assert interests(world, config, "bob", now) is None
    assert lookup(world.home, config=config, service="recommendations", entity_id="bob", now=now)["is_found"] is False
    assert lookup(world.home, config=config, service="item_profile", entity_id="i2", now=now)["is_found"] is False
    assert interests(world, config, "李雷", now) == ["茶"]


def test_publishing_the_same_again_writes_nothing(world, config, now):
    world.write(FIRST, users=USERS)
    first = publish(world.home, config=config, day=FIRST)
    before = everything_below(world.home.feature_store)
    again = publish(world.home, config=config, day=FIRST)
    assert (again.published, again.reason) == (True, "2026-03-01 is online already, with these rows")
    assert (again.generation_id, again.num_rows, again.num_checked) == (first.generation_id, first.num_rows, first.num_checked)
    assert everything_below(world.home.feature_store) == before


def test_a_corrected_day_arrives_as_a_generation_of_its_own(world, config, now):
    """A late event changed the day it happened on: same day, same event time, other value."""
    world.write(FIRST, users=USERS)
    first = publish(world.home, config=config, day=FIRST)
    world.write(FIRST, users=USERS | {"ann": "late"})
    corrected = publish(world.home, config=config, day=FIRST)
    assert corrected.generation_id > first.generation_id
    assert interests(world, config, "ann", now) == ["late"]
    view = open_store(world.home, config).get_feature_view("user_profiles")
    assert [(start.day, end.day) for start, end in view.materialization_intervals] == [(1, 2)]


def test_other_settings_of_the_store_are_another_generation(world, now):
    world.write(FIRST, users=USERS)
    first = publish(world.home, config=FeatureStoreConfig(), day=FIRST)
    longer = publish(world.home, config=FeatureStoreConfig(ttl_days=30), day=FIRST)
    assert first.generation_id != longer.generation_id
    assert open_store(world.home, FeatureStoreConfig()).get_feature_view("user_profiles").ttl == timedelta(days=30)


def test_rows_that_were_lost_are_written_anew(world, config, now):
    world.write(FIRST, users=USERS)
    first = publish(world.home, config=config, day=FIRST)
    lose_rows(world, config)
    again = publish(world.home, config=config, day=FIRST)
    assert again.generation_id != first.generation_id
    assert interests(world, config, "ann", now) == ["tea"]


def test_two_old_generations_are_kept_and_older_ones_are_gone_with_their_rows(world, config, now):
    days = [FIRST + timedelta(days=number) for number in range(5)]
    published = []
    for number, day in enumerate(days):
        world.write(day, users={"ann": f"word{number}"}, items=("i1",), release=f"r{number}")
        published.append(publish(world.home, config=config, day=day).generation_id)
    kept = [generation.generation_id for generation in GenerationStore(world.home).complete()]
    assert kept == published[-3:]
    assert sorted(path.name for path in (world.home.feature_store / "generations").iterdir()) == kept
    if config.online_store == "redis":
        assert len(redis_keys(config)) == 3 * 2  # ann and i1, three generations
    assert interests(world, config, "ann", now) == ["word4"]


def test_many_corrections_of_a_day_do_not_use_up_the_way_back(world, config):
    world.write(FIRST, users=USERS, release="r1")
    first = publish(world.home, config=config, day=FIRST).generation_id
    for number in range(5):
        world.write(SECOND, users={"ann": f"word{number}"}, release="r2")
        newest = publish(world.home, config=config, day=SECOND).generation_id
    kept = [generation.generation_id for generation in GenerationStore(world.home).complete()]
    assert (len(kept), kept[0], kept[-1]) == (4, first, newest)


def test_a_store_changes_and_the_old_generations_go_with_theirs(world, redis_port, now):
    import redis

    redis.Redis(port=redis_port).flushall()
    on_redis = FeatureStoreConfig(online_store="redis", redis_connection=f"127.0.0.1:{redis_port}")
    world.write(FIRST, users=USERS)
    publish(world.home, config=on_redis, day=FIRST)
    with pytest.raises(PublishError, match=r"is in Redis, but features.online_store is sqlite; use the profile it was published with"):
        FeatureLookup(world.home, config=FeatureStoreConfig())
    for number in range(1, 5):
        world.write(FIRST + timedelta(days=number), users={"ann": "茶"}, release=f"r{number}")
        publish(world.home, config=FeatureStoreConfig(), day=FIRST + timedelta(days=number))
    assert redis_keys(on_redis) == []
    # The settings of a reader lag behind: rows in SQLite are found beside the generation.
    assert interests(world, on_redis, "ann", now) == ["茶"]


def test_what_cannot_be_removed_yet_is_said_and_removed_later(world, config, monkeypatch):
    kinds = {"sqlite": "feature_repo.sqlite_online.SqliteRows", "redis": "feature_repo.redis_online.RedisRows"}
    for number in range(4):
        world.write(FIRST + timedelta(days=number), users={"ann": "tea"}, release=f"r{number}")
    published = [publish(world.home, config=config, day=FIRST + timedelta(days=number)).generation_id for number in range(3)]

    def fail(self):
        raise PublishError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(f"{kinds[config.online_store]}.remove", fail)
        report = publish(world.home, config=config, day=FIRST + timedelta(days=3))
    assert report.published
    assert report.reason.endswith(f"; {published[0]} is not removed yet: no answer")
    assert (world.home.feature_store / "generations" / published[0]).exists()
    publish(world.home, config=config, day=FIRST + timedelta(days=3))
    assert not (world.home.feature_store / "generations" / published[0]).exists()


def test_progress_reaches_the_total(world, config):
    world.write(FIRST, users=USERS)
    seen = []
    publish(world.home, config=config, day=FIRST, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (10, 10)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_two_datasets_side_by_side(make_world, config, now):
    """`shop` and `myshop`: their Redis keys end alike."""
    shop, mine = make_world("shop"), make_world("myshop")
    shop.write(FIRST, users={"ann": "tea", "bob": "chess"})
    mine.write(FIRST, users={"ann": "running", "bob": "茶"})
    for each in (shop, mine):
        publish(each.home, config=config, day=FIRST)
    shop.write(SECOND, users={"ann": "tea"})
    publish(shop.home, config=config, day=SECOND)
    assert interests(shop, config, "bob", now) is None
    assert interests(mine, config, "bob", now) == ["茶"]
    assert interests(mine, config, "ann", now) == ["running"]
    # Their old generations go, and only theirs.
    for number in range(2, 6):
        shop.write(FIRST + timedelta(days=number), users={"ann": "go"}, release=f"r{number}")
        publish(shop.home, config=config, day=FIRST + timedelta(days=number))
    assert interests(mine, config, "ann", now) == ["running"]
    assert interests(mine, config, "bob", now) == ["茶"]


def everything_below(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def redis_keys(config):
    import redis

    host, port = config.redis_connection.split(":")
    return redis.Redis(host=host, port=int(port)).keys()


def lose_rows(world, config):
    """What a Redis without persistence does at a restart, or somebody's `rm`."""
    if config.online_store == "redis":
        import redis

        host, port = config.redis_connection.split(":")
        redis.Redis(host=host, port=int(port)).flushall()
    else:
        for path in world.home.feature_store.glob("generations/*/online.db"):
            path.unlink()


def killed_publish(world, config, day):
    """Publish in a process that is killed after its first batch of rows."""
    code = (
        "import os, signal, sys; from datetime import date; from pathlib import Path\n"
        "from feature_repo.publish import publish; from ml.config import DatasetHome\n"
        "from ml.config.pipeline import FeatureStoreConfig\n"
        "root, dataset, settings, day = sys.argv[1:]\n"
        "publish(DatasetHome(Path(root), dataset), config=FeatureStoreConfig.model_validate_json(settings),\n"
        "        day=date.fromisoformat(day), progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))"
    )
    arguments = [str(world.home.root), world.home.dataset, config.model_dump_json(), day.isoformat()]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_killed_publish_never_happened_and_the_next_completes_it(world, config, now):
    world.write(FIRST, users=USERS)
    world.write(SECOND, users={"ann": "two"})
    world.write(THIRD, users={"ann": "three", "new": "茶"})
    first = publish(world.home, config=config, day=FIRST)
    killed_publish(world, config, THIRD)
    reader = FeatureLookup(world.home, config=config)
    answers = [reader.get(service, "ann", now=now) for service in ("user_profile", "recommendations")]
    assert [(answer.as_of.day, answer.generation_id) for answer in answers] == [(2, first.generation_id)] * 2
    assert interests(world, config, "bob", now) == ["chess"]
    # What was begun and never live keeps no day out, and is gone after the next publish.
    assert publish(world.home, config=config, day=SECOND).published
    assert len(list((world.home.feature_store / "generations").iterdir())) == 2
    assert publish(world.home, config=config, day=THIRD).published
    assert interests(world, config, "ann", now) == ["three"]
    assert interests(world, config, "bob", now) is None


def test_a_torn_live_generation_is_said_and_written_anew(world, config, now):
    world.write(FIRST, users={"ann": "old"})
    world.write(SECOND, users=USERS)
    live = publish(world.home, config=config, day=SECOND).generation_id
    (world.home.feature_store / "generations" / live / "publication.json").unlink()
    with pytest.raises(PublishError, match=f"generation {live} of my-shop is live but its publication.json is gone; publish its day again"):
        FeatureLookup(world.home, config=config)
    assert not publish(world.home, config=config, day=FIRST).published
    assert publish(world.home, config=config, day=SECOND).published
    assert interests(world, config, "ann", now) == ["tea"]


def test_a_generation_that_reads_back_something_else_never_goes_live(world, config, monkeypatch, now):
    from feast import FeatureStore

    write = FeatureStore.write_to_online_store
    world.write(FIRST, users=USERS)
    world.write(SECOND, users=USERS | {"ann": "running"}, release="r2")
    publish(world.home, config=config, day=FIRST)
    for spoil, said in (
        (lambda frame: frame.iloc[1:], "user_profiles: 3 entities online, 4 published; publish again"),
        (lambda frame: frame.assign(num_interactions=7) if "num_interactions" in frame else frame, "user_profiles: num_interactions read"),
        (
            lambda frame: frame.assign(embedding=[[0.5, 3.1]] * len(frame)) if "embedding" in frame else frame,
            "user_profiles: embedding read",
        ),
    ):
        monkeypatch.setattr(FeatureStore, "write_to_online_store", lambda self, name, frame, spoil=spoil: write(self, name, spoil(frame)))
        with pytest.raises(PublishError, match=said):
            publish(world.home, config=config, day=SECOND)
        assert interests(world, config, "ann", now) == ["tea"]
    monkeypatch.undo()
    assert publish(world.home, config=config, day=SECOND).published
    assert interests(world, config, "ann", now) == ["running"]


def test_tables_without_rows_publish_and_empty_the_store(world, config, now):
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    world.write(SECOND, users={}, items=())
    assert publish(world.home, config=config, day=SECOND).published
    assert interests(world, config, "ann", now) is None


def test_tables_that_do_not_belong_together_are_refused(world, config):
    world.write(FIRST, users=USERS)
    with pytest.raises(MissingTableError, match="2026-03-02"):
        publish(world.home, config=config, day=SECOND)
    profiles = world.home.tables / "user_profiles" / f"{FIRST}.parquet"
    world.write(SECOND, users=USERS, release="r2")
    newer = world.home.tables / "user_profiles" / f"{SECOND}.parquet"
    kept = profiles.read_bytes()
    profiles.write_bytes(newer.read_bytes())
    with pytest.raises(ContractError, match=r"user_profiles.*2026-03-03"):
        publish(world.home, config=config, day=FIRST)
    world.write(FIRST, users=USERS, release="r2")
    profiles.write_bytes(kept)
    with pytest.raises(ReleaseError, match="r1, r2"):
        publish(world.home, config=config, day=FIRST)


def test_two_publishes_at_once_are_one_too_many(world, config):
    import fcntl

    world.write(FIRST, users=USERS)
    world.home.feature_store.mkdir(parents=True)
    with (world.home.feature_store / "publish.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(PublishError, match="another publish or rollback of my-shop is running"):
            publish(world.home, config=config, day=FIRST)


def test_nothing_published_is_a_clear_error(world, config, now):
    with pytest.raises(PublishError, match="nothing of dataset my-shop is online"):
        lookup(world.home, config=config, service="user_profile", entity_id="ann", now=now)


def test_a_service_that_does_not_exist_is_named(world, config, now):
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    with pytest.raises(ValueError, match="no feature service 'profile'; there are user_profile"):
        lookup(world.home, config=config, service="profile", entity_id="ann", now=now)


def test_no_redis_is_a_clear_error(world):
    world.write(FIRST, users=USERS)
    config = FeatureStoreConfig(online_store="redis", redis_connection="127.0.0.1:1")
    with pytest.raises(PublishError, match=r"no Redis answers at 127\.0\.0\.1:1"):
        publish(world.home, config=config, day=FIRST)


def test_dataset_names_become_projects():
    assert project_name("douban-zh") == "douban_zh"
    for name in ("", "_x", "a b", "店"):
        with pytest.raises(ConfigError, match="cannot name a Feast project"):
            project_name(name)
    assert DatasetHome.__name__  # the home itself takes any name; only Feast is choosy

"""Publishing, as readers of the online store meet it: on SQLite and on a real Redis."""

import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from feature_repo.lookup import FeatureLookup, lookup
from feature_repo.publish import publish
from feature_repo.repository import open_store, project_name
from ml.config import DatasetHome
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


def test_feasts_own_materialize_cannot_move_values_back(world, config, now):
    """TRAPS R1: materializing an older window writes over newer values on a plain SQLite store."""
    world.write(FIRST, users={"ann": "old"})
    world.write(SECOND, users=USERS)
    publish(world.home, config=config, day=SECOND)
    store = open_store(world.home, config)
    day = datetime.fromisoformat("2026-03-02T00:00+00:00")
    store.materialize(day - timedelta(hours=1), day + timedelta(hours=1), feature_views=["user_profiles"])
    assert interests(world, config, "ann", now) == ["tea"]


def test_users_who_vanish_are_gone_online(world, config, now):
    world.write(FIRST, users=USERS, items=("i1", "i2", "i3"))
    publish(world.home, config=config, day=FIRST)
    world.write(SECOND, users={"ann": "tea", "李雷": "茶"}, items=("i3", "i1"))
    report = publish(world.home, config=config, day=SECOND)
    assert report.num_removed == {"user_profiles": 2, "item_features": 1, "recommendation_lists": 2}
    assert interests(world, config, "bob", now) is None
    assert lookup(world.home, config=config, service="recommendations", entity_id="bob", now=now)["is_found"] is False
    assert lookup(world.home, config=config, service="item_profile", entity_id="i2", now=now)["is_found"] is False
    assert interests(world, config, "李雷", now) == ["茶"]


def test_publishing_again_changes_nothing_and_a_corrected_day_arrives(world, config, now):
    world.write(FIRST, users=USERS)
    first = publish(world.home, config=config, day=FIRST)
    again = publish(world.home, config=config, day=FIRST)
    assert (again.num_rows, again.num_removed) == (first.num_rows, dict.fromkeys(first.num_rows, 0))
    # A late event changed the day it happened on; same day, same event time, other value.
    world.write(FIRST, users=USERS | {"ann": "late"})
    publish(world.home, config=config, day=FIRST)
    assert interests(world, config, "ann", now) == ["late"]
    intervals = open_store(world.home, config).get_feature_view("user_profiles").materialization_intervals
    assert len(intervals) == 1


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
    assert publish(shop.home, config=config, day=SECOND).num_removed["user_profiles"] == 1
    assert interests(shop, config, "bob", now) is None
    assert interests(mine, config, "bob", now) == ["茶"]
    assert interests(mine, config, "ann", now) == ["running"]


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


def test_a_killed_publish_leaves_answers_and_the_next_completes_it(world, config, now):
    world.write(FIRST, users=USERS)
    world.write(SECOND, users={"ann": "two"})
    world.write(THIRD, users={"ann": "three", "new": "茶"})
    publish(world.home, config=config, day=FIRST)
    killed_publish(world, config, THIRD)
    reader = FeatureLookup(world.home, config=config)
    answers = [reader.get(service, "ann", now=now) for service in ("user_profile", "recommendations")]
    assert all(answer.is_found for answer in answers)
    if config.online_store == "sqlite":  # one transaction: nothing of the third day shows
        assert [answer.as_of.day for answer in answers] == [2, 2]
        assert interests(world, config, "bob", now) == ["chess"]
    else:  # the store remembers what was begun, and an older day may not step in
        assert publish(world.home, config=config, day=SECOND).reason.startswith("refused: 2026-03-03 was begun and not finished")
    assert publish(world.home, config=config, day=THIRD).published
    assert interests(world, config, "ann", now) == ["three"]
    assert interests(world, config, "bob", now) is None


def test_a_view_stuck_in_materializing_is_mended(world, config, now):
    """TRAPS R4: Feast leaves the state behind when it is killed, and then refuses to serve the view."""
    from feast.feature_view import FeatureViewState

    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    store = open_store(world.home, config)
    stuck = store.get_feature_view("user_profiles")
    stuck.state = FeatureViewState.MATERIALIZING
    store.registry.apply_feature_view(stuck, store.project)
    with pytest.raises(ValueError, match="MATERIALIZING"):
        interests(world, config, "ann", now)
    publish(world.home, config=config, day=FIRST)
    assert interests(world, config, "ann", now) == ["tea"]


def test_a_store_that_reads_back_something_else_is_reported(world, config, monkeypatch):
    world.write(FIRST, users=USERS)
    monkeypatch.setattr(f"feature_repo.{config.online_store}_online.batches", lambda table, *, view: iter(()))
    with pytest.raises(PublishError, match="user_profiles: 0 entities online, 4 published"):
        publish(world.home, config=config, day=FIRST)


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
        with pytest.raises(PublishError, match="another publish of my-shop is running"):
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
    from ml.config.pipeline import FeatureStoreConfig

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

"""A candidate knows only what it may, round-trips, and goes live through the gate alone."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.config import PipelineConfig
from ml.config.pipeline import EvaluationConfig, ModelConfig
from ml.contracts.behaviour import ITEMS
from ml.contracts.meaning import ITEM_EMBEDDINGS, ITEM_INTERESTS, KNOWLEDGE_GRAPH
from ml.contracts.outputs import RELEASE_DECISIONS
from ml.contracts.store import TableStore
from ml.contracts.vectors import matrix_to_vectors
from ml.training.candidate import Candidate, NoCandidate, TrainingTables, load_candidate, save_candidate, train_candidate
from ml.training.model_card import model_card
from ml.training.releases import ReleaseStore
from ml.training.releasing import decide, in_force_before, released_model, undecided
from ml.training.trial import put_to_trial, untried
from tests.ml.evaluation.interaction_rows import at, interactions

CONFIG = PipelineConfig(
    model=ModelConfig(embedding_size=8, epochs=3, patience=2, batch_size=256, num_negatives=32, device="cpu"),
    evaluation=EvaluationConfig(num_bootstrap=100, gate_min_users=5),
)
NUM_USERS, NUM_ITEMS, NUM_DAYS = 40, 24, 20
END = at(NUM_DAYS)


def two_tastes(seed: int = 3) -> TrainingTables:
    """Even users like even items, odd users odd ones; every item is as popular as its twin."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(NUM_USERS):
        liked = rng.permutation(np.arange(user % 2, NUM_ITEMS, 2))[:9]
        days = np.sort(rng.uniform(0, NUM_DAYS - 0.01, len(liked)))
        rows += [(f"u{user:02}", f"i{item:02}", 1.0, float(day)) for item, day in zip(liked, days, strict=True)]
    ids = [f"i{item:02}" for item in range(NUM_ITEMS)]
    blank = {
        "day": END.date(),
        "text": None,
        "text_known_at": None,
        "category": None,
        "tags": [],
        "attributes": None,
        "created_at": None,
        "is_catalogued": True,
    }
    vectors = np.stack([np.eye(4)[item % 2] + 0.1 * rng.normal(size=4) for item in range(NUM_ITEMS)])
    return TrainingTables(
        interactions=interactions(rows),
        items=pa.Table.from_pylist([{"item_id": item, "title": item, **blank} for item in ids], schema=ITEMS.schema),
        item_embeddings=ITEM_EMBEDDINGS.conform(
            pa.table({"item_id": ids, "text_hash": ids, "space_id": ["s"] * NUM_ITEMS, "vector": matrix_to_vectors(vectors)})
        ),
        item_interests=ITEM_INTERESTS.conform(
            pa.table({"item_id": ids, "interest_id": [f"tag:{item % 2}" for item in range(NUM_ITEMS)], "weight": [1.0] * NUM_ITEMS})
        ),
        knowledge_graph=KNOWLEDGE_GRAPH.empty(),
    )


@pytest.fixture(scope="module")
def candidate() -> Candidate:
    found = train_candidate(two_tastes(), config=CONFIG, as_of=END)
    assert isinstance(found, Candidate)
    return found


@pytest.fixture(scope="module")
def trial(candidate):
    return put_to_trial(candidate, tables=two_tastes(), live=None, config=CONFIG)


def test_the_measured_model_knows_nothing_of_the_test(candidate) -> None:
    assert candidate.evaluated.as_of == candidate.split.test_start < candidate.released.as_of == END
    assert candidate.evaluated.num_likes_U.sum() < candidate.released.num_likes_U.sum()


def test_events_of_the_test_window_change_no_bit_of_the_measured_model(candidate) -> None:
    tables = two_tastes()
    before = np.asarray([moment < candidate.split.test_start for moment in tables.interactions.column("last_event_at").to_pylist()])
    # The same instants, so that time is cut at the same place; other items.
    items = tables.interactions.column("item_id").to_pylist()
    shuffled = [item if known else items[0] for item, known in zip(items, before, strict=True)]
    position = tables.interactions.schema.get_field_index("item_id")
    other = TrainingTables(
        tables.interactions.set_column(position, "item_id", pa.array(shuffled)),
        tables.items,
        tables.item_embeddings,
        tables.item_interests,
        tables.knowledge_graph,
    )
    again = train_candidate(other, config=CONFIG, as_of=END)
    assert isinstance(again, Candidate)
    assert np.array_equal(again.evaluated.model.item_vectors, candidate.evaluated.model.item_vectors)
    assert not np.array_equal(again.released.model.item_vectors, candidate.released.model.item_vectors)


def test_the_same_tables_give_the_same_bytes(candidate, tmp_path) -> None:
    again = train_candidate(two_tastes(), config=CONFIG, as_of=END)
    save_candidate(candidate, tmp_path / "one")
    save_candidate(again, tmp_path / "two")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 5
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_saved_candidate_scores_as_before(candidate, tmp_path) -> None:
    save_candidate(candidate, tmp_path)
    loaded = load_candidate(tmp_path)
    assert isinstance(loaded, Candidate)
    users = np.arange(NUM_USERS)
    assert np.array_equal(loaded.released.model.score(users), candidate.released.model.score(users))
    assert (loaded.split, loaded.history) == (candidate.split, candidate.history)
    assert loaded.evaluated.users == candidate.evaluated.users


def test_two_tastes_pass_the_gate_and_popularity_does_not(trial) -> None:
    assert trial.decision.promoted, trial.decision.reason
    models = set(trial.evaluation.column("model").to_pylist())
    assert models == {"interest_gnn", "popularity", "item_knn", "ease", "text_only"}


def test_the_live_release_is_measured_beside_the_candidate(candidate) -> None:
    trial = put_to_trial(candidate, tables=two_tastes(), live=candidate.evaluated, config=CONFIG)
    rows = {row["baseline"]: row for row in trial.comparisons.to_pylist() if row["metric"] == "ndcg@10"}
    assert rows["live_release"]["difference"] == 0.0
    assert "holds against the live release" in trial.decision.reason


def test_a_live_release_that_knows_the_answers_is_left_out(candidate) -> None:
    trial = put_to_trial(candidate, tables=two_tastes(), live=candidate.released, config=CONFIG)
    assert "live_release" not in trial.evaluation.column("model").to_pylist()
    assert "was left out" in trial.decision.reason


def test_too_little_history_is_no_failure(tmp_path) -> None:
    tables = two_tastes()
    young = TrainingTables(
        interactions([("a", "i00", 1.0, 1.0), ("b", "i01", 1.0, 1.0)]),
        tables.items,
        tables.item_embeddings,
        tables.item_interests,
        tables.knowledge_graph,
    )
    found = train_candidate(young, config=CONFIG, as_of=END)
    assert isinstance(found, NoCandidate)
    save_candidate(found, tmp_path / "c")
    assert load_candidate(tmp_path / "c") == found
    store, day = TableStore(tmp_path / "tables"), END.date()
    row = undecided(untried(found.reason), day=day, releases=ReleaseStore(tmp_path / "releases"), store=store)
    assert row.column("release_id").to_pylist() == [None]
    assert released_model(row, releases=ReleaseStore(tmp_path / "releases")) is None


def test_a_release_goes_live_and_stays_when_an_older_day_is_made_again(candidate, trial, tmp_path) -> None:
    save_candidate(candidate, tmp_path / "c")
    releases, store, day = ReleaseStore(tmp_path / "releases"), TableStore(tmp_path / "tables"), END.date()
    card = model_card(candidate, trial=trial, config=CONFIG, dataset="tastes")

    def decided(when):
        return decide(trial, day=when, candidate=tmp_path / "c", releases=releases, store=store, made_from={"space_id": "s"}, card=card)

    newest = decided(day)
    store.write(RELEASE_DECISIONS, newest, day=day)
    older = decided(day - timedelta(days=3))
    assert newest.column("is_live").to_pylist() == [True]
    assert older.column("is_live").to_pylist() == [False]
    assert older.column("has_passed").to_pylist() == [True]
    live = releases.current()
    assert live is not None
    assert live.release_id == newest.column("release_id")[0].as_py()
    assert in_force_before(day, releases=releases, store=store) is None
    known = in_force_before(day + timedelta(days=1), releases=releases, store=store)
    assert known is not None
    assert known.as_of == candidate.split.test_start
    release, fitted = released_model(newest, releases=releases)
    assert release == live
    assert fitted.as_of == END
    # What a rollback names is what the days after it use, whatever passed since.
    releases.promote(older.column("release_id")[0].as_py(), reason="by hand", force=True)
    row = undecided(untried("a quiet day"), day=day + timedelta(days=1), releases=releases, store=store)
    assert row.column("release_id").to_pylist() == older.column("release_id").to_pylist()
    assert "interest_gnn" in (release.directory / "model_card.md").read_text()

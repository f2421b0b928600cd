"""A candidate knows only what it may, round-trips, and goes live through the gate alone."""

import dataclasses
from copy import copy
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.config import PipelineConfig
from ml.config.pipeline import EvaluationConfig, ModelConfig
from ml.contracts.behaviour import ITEMS
from ml.contracts.manifest import Recipe
from ml.evaluation.gate import GateDecision
from ml.graph.edge_types import SIMILAR, WITHIN
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.hybrid.hybrid import Hybrid
from ml.training.candidate import Candidate, NoCandidate, TrainingTables, load_candidate, save_candidate, train_candidate
from ml.training.candidates import CandidateStore
from ml.training.model_card import model_card
from ml.training.promotion import consider
from ml.training.releases import ReleaseStore
from ml.training.releasing import decide, released_model, undecided
from ml.training.schedule import last_of_every
from ml.training.trial import put_to_trial, untried
from tests.ml.evaluation.interaction_rows import interactions
from tests.ml.interests.catalogues import make_points
from tests.ml.training.taste_worlds import END, NUM_USERS, two_tastes

CONFIG = PipelineConfig(
    model=ModelConfig(embedding_size=8, epochs=3, patience=2, batch_size=256, num_negatives=32, device="cpu"),
    evaluation=EvaluationConfig(num_bootstrap=100, gate_min_users=5),
)


@pytest.fixture(scope="module")
def candidate() -> Candidate:
    found = train_candidate(two_tastes(), config=CONFIG, as_of=END)
    assert isinstance(found, Candidate)
    return found


@pytest.fixture(scope="module")
def trial(candidate):
    return put_to_trial(candidate, tables=two_tastes(), last_full_fit=None, config=CONFIG)


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
        tables.text_interests,
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
    assert trial.decision.passed, trial.decision.reason
    models = set(trial.evaluation.column("model").to_pylist())
    assert models == {"hybrid", "interest_gnn", "popularity", "item_knn", "ease", "ials", "text_only"}


def test_the_last_full_fit_is_measured_beside_the_candidate(candidate) -> None:
    trial = put_to_trial(candidate, tables=two_tastes(), last_full_fit=candidate.evaluated, config=CONFIG)
    rows = {row["baseline"]: row for row in trial.comparisons.to_pylist() if row["metric"] == "ndcg@10"}
    assert rows["last_full_fit"]["difference"] == 0.0
    assert "holds against the last full fit" in trial.decision.reason


def test_a_full_fit_that_knows_the_answers_is_left_out(candidate) -> None:
    trial = put_to_trial(candidate, tables=two_tastes(), last_full_fit=candidate.released, config=CONFIG)
    assert "last_full_fit" not in trial.evaluation.column("model").to_pylist()
    assert "was left out" in trial.decision.reason


def known_at(moment) -> TrainingTables:
    tables = two_tastes()
    known = pc.less(tables.interactions.column("last_event_at"), pa.scalar(moment))
    return dataclasses.replace(tables, interactions=tables.interactions.filter(known))


@pytest.fixture(scope="module")
def earlier() -> Candidate:
    found = train_candidate(known_at(END - timedelta(days=3)), config=CONFIG, as_of=END - timedelta(days=3))
    assert isinstance(found, Candidate)
    return found


@pytest.fixture(scope="module")
def warm(earlier) -> Candidate:
    found = train_candidate(two_tastes(), config=CONFIG, as_of=END, last_full_fit=earlier)
    assert isinstance(found, Candidate)
    return found


def test_a_day_between_full_fits_starts_from_the_last_one(earlier, warm, candidate) -> None:
    assert warm.last_full_fit == earlier.released.as_of
    assert len(warm.history) == CONFIG.model.warm_epochs
    assert warm.split == candidate.split
    assert not np.array_equal(warm.released.model.item_vectors, candidate.released.model.item_vectors)


def test_the_measured_model_of_a_warm_day_never_saw_the_test(earlier, warm) -> None:
    assert earlier.evaluated.as_of <= warm.evaluated.as_of == warm.split.test_start
    tables = two_tastes()
    late = pc.greater_equal(tables.interactions.column("last_event_at"), pa.scalar(warm.split.test_start))
    items = pc.if_else(late, tables.interactions.column("item_id")[0], tables.interactions.column("item_id"))
    position = tables.interactions.schema.get_field_index("item_id")
    other = dataclasses.replace(tables, interactions=tables.interactions.set_column(position, "item_id", items))
    again = train_candidate(other, config=CONFIG, as_of=END, last_full_fit=earlier)
    assert np.array_equal(again.evaluated.model.item_vectors, warm.evaluated.model.item_vectors)


def test_a_warm_day_is_the_same_from_memory_and_from_disk(earlier, warm, tmp_path) -> None:
    store, day = CandidateStore(tmp_path / "candidates", checkpoints=tmp_path / "checkpoints"), (END - timedelta(days=3)).date()
    store.write(earlier, day=day, recipe=Recipe("v", {}))
    again = train_candidate(two_tastes(), config=CONFIG, as_of=END, last_full_fit=store.read(day))
    assert np.array_equal(again.released.model.score(np.arange(NUM_USERS)), warm.released.model.score(np.arange(NUM_USERS)))


def test_without_a_full_fit_that_trained_a_day_is_one_itself(candidate) -> None:
    found = train_candidate(two_tastes(), config=CONFIG, as_of=END, last_full_fit=NoCandidate("too young"))
    assert found.last_full_fit is None
    assert np.array_equal(found.released.model.item_vectors, candidate.released.model.item_vectors)


def test_late_events_that_move_the_test_before_the_full_fits_make_a_full_fit(candidate) -> None:
    # Started from the later day, the measured model would know its own test.
    found = train_candidate(known_at(END - timedelta(days=3)), config=CONFIG, as_of=END - timedelta(days=3), last_full_fit=candidate)
    assert found.last_full_fit is None


def test_full_fits_are_counted_from_the_start() -> None:
    start = date(2024, 1, 1)
    found = [last_of_every(3, day=start + timedelta(days=day), start=start) for day in range(7)]
    assert found == [None, start, start, None, date(2024, 1, 4), date(2024, 1, 4), None]
    assert last_of_every(1, day=start + timedelta(days=5), start=start) is None


def test_too_little_history_is_no_failure(tmp_path) -> None:
    tables = two_tastes()
    young = TrainingTables(
        interactions([("a", "i00", 1.0, 1.0), ("b", "i01", 1.0, 1.0)]),
        tables.items,
        tables.item_embeddings,
        tables.item_interests,
        tables.text_interests,
        tables.knowledge_graph,
    )
    found = train_candidate(young, config=CONFIG, as_of=END)
    assert isinstance(found, NoCandidate)
    save_candidate(found, tmp_path / "c")
    assert load_candidate(tmp_path / "c") == found
    releases = ReleaseStore(tmp_path / "releases")
    row = undecided(untried(found.reason), releases=releases, last_full_fit=None)
    assert row.column("release_id").to_pylist() == [None]
    assert released_model(row, releases=releases) is None


def decided(candidate, trial, *, day, tmp_path, last=None) -> pa.Table:
    save_candidate(candidate, tmp_path / f"c{day}")
    card = model_card(candidate, trial=trial, config=CONFIG, dataset="tastes")
    releases = ReleaseStore(tmp_path / "releases")
    return decide(
        trial, day=day, candidate=tmp_path / f"c{day}", releases=releases, last_full_fit=last, made_from={"space_id": "s"}, card=card
    )


def test_in_force_is_the_days_own_release_or_the_last_full_fits(candidate, trial, tmp_path) -> None:
    day = END.date()
    full = decided(candidate, trial, day=day, tmp_path=tmp_path)
    refused = dataclasses.replace(trial, decision=GateDecision(False, "Refused: by hand."))
    warm = decided(candidate, refused, day=day + timedelta(days=1), tmp_path=tmp_path, last=full)
    assert full.column("release_id").to_pylist() == full.column("candidate_release_id").to_pylist()
    assert warm.column("release_id").to_pylist() == full.column("candidate_release_id").to_pylist()
    assert warm.column("last_full_fit").to_pylist() == [day]
    # Neither passed: nobody's release.
    worse = decided(candidate, refused, day=day, tmp_path=tmp_path)
    assert decided(candidate, refused, day=day + timedelta(days=1), tmp_path=tmp_path, last=worse).column("release_id").to_pylist() == [
        None
    ]
    release, fitted = released_model(full, releases=ReleaseStore(tmp_path / "releases"))
    assert fitted.as_of == END
    assert "interest_gnn" in (release.directory / "model_card.md").read_text()


def test_what_is_live_changes_no_decision(candidate, trial, tmp_path) -> None:
    day, releases = END.date(), ReleaseStore(tmp_path / "releases")
    first = decided(candidate, trial, day=day, tmp_path=tmp_path)
    newer = decided(candidate, trial, day=day + timedelta(days=5), tmp_path=tmp_path)
    releases.promote(newer.column("release_id")[0].as_py(), reason="by hand")
    assert decided(candidate, trial, day=day, tmp_path=tmp_path) == first


def promoted(candidate, decisions, tmp_path):
    return consider(candidate, decisions=decisions, tables=two_tastes(), releases=ReleaseStore(tmp_path / "releases"), config=CONFIG)


def test_the_newest_release_that_holds_goes_live_and_older_ones_never(candidate, trial, tmp_path) -> None:
    day, releases = END.date(), ReleaseStore(tmp_path / "releases")
    first = decided(candidate, trial, day=day, tmp_path=tmp_path)
    older = decided(candidate, trial, day=day - timedelta(days=3), tmp_path=tmp_path)
    newer = decided(candidate, trial, day=day + timedelta(days=3), tmp_path=tmp_path)
    assert promoted(candidate, first, tmp_path).is_live
    assert "is live and newer" in promoted(candidate, older, tmp_path).reason
    assert releases.current_id() == first.column("release_id")[0].as_py()
    found = promoted(candidate, newer, tmp_path)
    assert found.is_live
    assert "holds against the live release" in found.reason
    assert promoted(candidate, newer, tmp_path).reason == "It is live already."


def test_a_release_that_loses_to_the_live_one_stays_where_it_is(candidate, trial, tmp_path) -> None:
    day, releases = END.date(), ReleaseStore(tmp_path / "releases")
    good = decided(candidate, trial, day=day, tmp_path=tmp_path)
    assert promoted(candidate, good, tmp_path).is_live
    bad = dataclasses.replace(
        candidate, evaluated=dataclasses.replace(candidate.evaluated, model=reversed_scores(candidate.evaluated.model))
    )
    # It passed its own gate, say with another margin; live it must not go.
    row = decided(bad, trial, day=day + timedelta(days=1), tmp_path=tmp_path)
    found = promoted(bad, row, tmp_path)
    assert not found.is_live
    assert found.reason.startswith("Not promoted:")
    assert releases.current_id() == good.column("release_id")[0].as_py()


def test_what_was_rolled_back_from_goes_live_by_hand_alone(candidate, trial, tmp_path) -> None:
    day, releases = END.date(), ReleaseStore(tmp_path / "releases")
    first = decided(candidate, trial, day=day, tmp_path=tmp_path)
    second = decided(candidate, trial, day=day + timedelta(days=1), tmp_path=tmp_path)
    assert promoted(candidate, first, tmp_path).is_live
    assert promoted(candidate, second, tmp_path).is_live
    releases.rollback()
    # The same day once more, say because a late file came in at night.
    found = promoted(candidate, second, tmp_path)
    assert not found.is_live
    assert "was rolled back from" in found.reason
    third = decided(candidate, trial, day=day + timedelta(days=2), tmp_path=tmp_path)
    assert promoted(candidate, third, tmp_path).is_live
    releases.promote(second.column("release_id")[0].as_py(), reason="by hand", force=True)
    assert releases.rolled_back() == set()


def test_a_refused_candidate_is_not_considered_and_a_torn_live_one_is_replaced(candidate, trial, tmp_path) -> None:
    day, releases = END.date(), ReleaseStore(tmp_path / "releases")
    refused = dataclasses.replace(trial, decision=GateDecision(False, "Refused: by hand."))
    assert promoted(candidate, decided(candidate, refused, day=day, tmp_path=tmp_path), tmp_path).reason == "Refused: by hand."
    first = decided(candidate, trial, day=day, tmp_path=tmp_path)
    assert promoted(candidate, first, tmp_path).is_live
    (releases.root / first.column("release_id")[0].as_py() / "model_card.md").unlink()
    newer = decided(candidate, trial, day=day + timedelta(days=1), tmp_path=tmp_path)
    found = promoted(candidate, newer, tmp_path)
    assert found.is_live
    assert "could not be read" in found.reason


def reversed_scores(model: Hybrid) -> Hybrid:
    other = copy(model)
    other.choices = dataclasses.replace(model.choices, slope=-model.choices.slope, ranker=None)
    return other


@pytest.mark.parametrize("excluded", [("similar", "within"), ("within",), ()])
def test_what_the_model_does_not_look_along_is_not_looked_for_and_what_it_does_is_saved(excluded, tmp_path) -> None:
    config = CONFIG.model_copy(
        update={
            "graph": CONFIG.graph.model_copy(update={"similar_noise_quantile": 0.5}),
            "model": CONFIG.model.model_copy(update={"excluded_relations": excluded, "epochs": 1}),
        }
    )
    points = make_points([{"interest_id": "tag:0", "parent_id": "tag:1"}, {"interest_id": "tag:1"}])
    inputs = dataclasses.replace(two_tastes(), interest_points=points).inputs(config=config, as_of=END)
    for known in (SIMILAR, WITHIN):
        assert (known in inputs.graph.edges) == (known.relation not in excluded)
    model = InterestGNN(config.model).fit(inputs, rng=np.random.default_rng(7))
    named = " ".join(model.relation_weights)
    assert [relation for relation in ("similar", "within") if f"-{relation}->" not in named] == list(excluded)
    model.save(tmp_path)
    assert InterestGNN.load(tmp_path).config.excluded_relations == excluded


def test_items_are_alike_only_by_words_known_at_the_cut() -> None:
    tables = two_tastes()
    later = [END if item == "i00" else None for item in tables.items.column("item_id").to_pylist()]
    position = tables.items.schema.get_field_index("text_known_at")
    told_later = tables.items.set_column(position, "text_known_at", pa.array(later, ITEMS.schema.field("text_known_at").type))
    config = CONFIG.model_copy(
        update={
            "graph": CONFIG.graph.model_copy(update={"similar_noise_quantile": 0.5}),
            "model": CONFIG.model.model_copy(update={"excluded_relations": ()}),
        }
    )

    def alike(items: pa.Table) -> set[int]:
        edges = dataclasses.replace(tables, items=items).inputs(config=config, as_of=END).graph.edges[SIMILAR]
        return {*edges.source_index.tolist(), *edges.target_index.tolist()}

    assert 0 in alike(tables.items)
    assert 0 not in alike(told_later)

"""A search sees no test, goes on after a kill as if nothing had been, cuts short what is hopeless, and claims only what holds."""

import dataclasses
import json
from datetime import timedelta

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scipy.sparse as sp

from ml.config import PipelineConfig
from ml.config.changes import changed
from ml.config.pipeline import EvaluationConfig, ModelConfig, SearchConfig
from ml.config.ranges import Range
from ml.contracts.contract import TIMESTAMP
from ml.contracts.meaning import REVIEW_SIGNALS, TEXT_INTERESTS
from ml.epochs.course import Epoch
from ml.errors import EvaluationError, SearchError
from ml.evaluation.split import global_time_split
from ml.evaluation.truth import held_out
from ml.models.gnn.interest_gnn import InterestGNN
from ml.training import validated
from ml.training.figures import Figures
from ml.training.search import Searcher, importances
from ml.training.studies import open_study
from ml.training.validated import GnnOnValidation, Validated, before_test
from tests.ml.evaluation.interaction_rows import at, interactions
from tests.ml.training.taste_worlds import END, two_tastes

SPACE = {
    "model.temperature": Range(low=0.05, high=0.5, log=True),
    "model.num_layers": Range(low=1, high=3),
    "graph.half_life_days": Range(choices=(30.0, 90.0)),
}
CONFIG = PipelineConfig(
    model=ModelConfig(embedding_size=8, epochs=3, patience=2, batch_size=256, num_negatives=32, device="cpu"),
    evaluation=EvaluationConfig(num_bootstrap=100, gate_min_users=5),
    search=SearchConfig(num_random_trials=2, num_whole_trials=1, space=SPACE),
)
NUM_TRIALS = 5
WORDS = TEXT_INTERESTS.conform(
    pa.table(
        {
            "event_id": ["e1", "e2"],
            "user_id": ["u00", "u01"],
            "item_id": pa.array([None, None], pa.string()),
            "event_at": [at(2), END - timedelta(hours=1)],
            "interest_id": ["tag:0", "tag:1"],
            "weight": [1.0, 1.0],
        }
    )
)
REVIEWS = REVIEW_SIGNALS.conform(
    pa.table(
        {
            "event_id": ["e3", "e4"],
            "user_id": ["u00", "u01"],
            "item_id": ["i00", "i01"],
            "event_at": [at(3), END - timedelta(hours=1)],
            "weight": [1.0, 1.0],
            "is_rated": [True, True],
            "sentiment": [0.5, 0.5],
            "confidence": [0.9, 0.9],
            "is_abstained": [False, False],
            "contradiction": [0.0, 0.0],
            "twin_at": pa.array([None, None], TIMESTAMP),
            "reviewer_credibility": [1.0, 1.0],
            "credibility": [1.0, 1.0],
            "reasons": [["good"], ["good"]],
        }
    )
)


def searched(folder, *, config=CONFIG, fit=None, num_trials=NUM_TRIALS, made_from=None, **heard):
    """The trials and the verdict of a search in `folder`."""
    fit = fit or GnnOnValidation(before_test(two_tastes(), config=config.evaluation))
    with open_study(folder, made_from=made_from or {"data": "tastes"}, config=config.search) as study:
        searcher = Searcher(fit, base=config, study=study, **heard)
        return searcher.run(num_trials=num_trials), searcher.verdict(), study


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("undisturbed"))


def test_the_first_trial_is_the_profile_and_the_best_is_never_worse(undisturbed) -> None:
    attempts, verdict, _ = undisturbed
    assert [attempt.place for attempt in attempts] == list(range(NUM_TRIALS))
    assert attempts[0].settings == {"model.temperature": 0.16, "model.num_layers": 2, "graph.half_life_days": 90.0}
    assert verdict.best.figure >= verdict.profile.figure == attempts[0].figure > 0
    own = GnnOnValidation(before_test(two_tastes(), config=CONFIG.evaluation))(CONFIG)
    assert attempts[0].figure == own.figures.searched_V.mean()
    assert len({json.dumps(attempt.settings) for attempt in attempts}) > 2


class KilledError(BaseException):
    """As a kill: nothing may catch it."""


@pytest.mark.parametrize(("place", "epoch_number"), [(0, 2), (2, 1)])
def test_a_killed_search_goes_on_to_the_same_trials(undisturbed, tmp_path, place, epoch_number) -> None:
    def kill(what: str, epoch: Epoch) -> None:
        if what == f"trial {place + 1}" and epoch.number == epoch_number:
            raise KilledError

    with pytest.raises(KilledError):
        searched(tmp_path, heard_epoch=kill)
    (journal,) = tmp_path.glob("*/journal.jsonl")
    # A lock that nobody holds any more, and half a line: what a power cut leaves.
    journal.with_name("journal.jsonl.lock").symlink_to(journal)
    with journal.open("a") as handle:
        handle.write('{"op_code":7,"worker')
    attempts, verdict, study = searched(tmp_path)
    assert attempts == undisturbed[0]
    assert verdict == undisturbed[1]
    assert study.news.startswith("goes on")


def test_a_search_killed_before_its_first_trial_began_goes_on(undisturbed, tmp_path) -> None:
    with open_study(tmp_path, made_from={"data": "tastes"}, config=CONFIG.search) as study:
        study.optuna.enqueue_trial({"model.num_layers": 1})
    assert searched(tmp_path)[0] == undisturbed[0]


def test_more_trials_go_on_from_those_there(undisturbed, tmp_path) -> None:
    searched(tmp_path, num_trials=2)
    fitted = []
    attempts, _, _ = searched(tmp_path, heard_epoch=lambda what, _: fitted.append(what))
    assert attempts == undisturbed[0]
    assert not {"trial 1", "trial 2"} & set(fitted)


def test_when_time_is_up_the_trial_under_way_is_tried_again_later(undisturbed, tmp_path) -> None:
    late = []
    attempts, _, _ = searched(tmp_path, heard_epoch=lambda what, _: late.append(what), is_time_up=lambda: "trial 3" in late)
    assert attempts == undisturbed[0][:2]
    assert searched(tmp_path)[0] == undisturbed[0]
    assert len(searched(tmp_path / "none", is_time_up=lambda: True)[0]) == 1


def test_other_data_begin_another_study_and_say_why(undisturbed, tmp_path) -> None:
    searched(tmp_path, num_trials=1, made_from={"data": "a", "day": "1"})
    attempts, _, study = searched(tmp_path, num_trials=1, made_from={"data": "b", "day": "1"})
    assert study.news.startswith("a new study: data changed")
    assert "day" not in study.news.split("changed")[0]
    assert len(attempts) == 1
    assert searched(tmp_path, num_trials=1, made_from={"data": "a", "day": "1"})[2].news.startswith("goes on")


def test_two_searches_do_not_share_a_study(tmp_path) -> None:
    with open_study(tmp_path, made_from={}, config=CONFIG.search), pytest.raises(SearchError, match="another search"):  # noqa: SIM117
        with open_study(tmp_path, made_from={}, config=CONFIG.search):
            pass


def test_a_study_is_json_lines_and_parquet(undisturbed) -> None:
    directory = undisturbed[2].directory
    assert {path.suffix for path in directory.rglob("*") if path.is_file()} == {".json", ".jsonl", ".parquet", ""}
    assert (directory / "lock").read_bytes() == b""
    for line in (directory / "journal.jsonl").read_text().splitlines():
        json.loads(line)


def disturbed_test(tables):
    """Every event from the test's start on is another: other items, other users, other words; the instants stay, so time is cut alike."""
    start = global_time_split(tables.interactions, config=CONFIG.evaluation).test_start
    late = pc.greater_equal(tables.interactions.column("last_event_at"), pa.scalar(start, TIMESTAMP))
    rows = tables.interactions
    for column, value in (("item_id", "i00"), ("user_id", "u39"), ("num_events", 9)):
        other = pc.if_else(late, pa.scalar(value, rows.schema.field(column).type), rows.column(column))
        rows = rows.set_column(rows.schema.get_field_index(column), column, other)
    signals = tables.review_signals
    rated = pc.if_else(pc.greater_equal(signals.column("event_at"), pa.scalar(start, TIMESTAMP)), 1.0, signals.column("contradiction"))
    signals = signals.set_column(signals.schema.get_field_index("contradiction"), "contradiction", rated)
    words = tables.text_interests
    spoken = pc.if_else(pc.greater_equal(words.column("event_at"), pa.scalar(start, TIMESTAMP)), "tag:0", words.column("interest_id"))
    words = words.set_column(words.schema.get_field_index("interest_id"), "interest_id", spoken)
    return dataclasses.replace(tables, interactions=rows, text_interests=words, review_signals=signals)


def test_the_test_window_changes_nothing_and_is_handed_to_nobody(tmp_path, monkeypatch) -> None:
    tables = dataclasses.replace(two_tastes(), text_interests=WORDS, review_signals=REVIEWS)
    other = disturbed_test(tables)
    for name in ("interactions", "text_interests", "review_signals"):
        assert getattr(other, name) != getattr(tables, name)
    start = global_time_split(tables.interactions, config=CONFIG.evaluation).test_start
    newest = []
    build = validated.TrainingTables.inputs

    def seen(self, **arguments):
        for table, column in ((self.interactions, "last_event_at"), (self.text_interests, "event_at"), (self.review_signals, "event_at")):
            newest.extend(table.column(column).to_pylist())
        return build(self, **arguments)

    def judged(rows, **arguments):
        newest.extend(rows.column("last_event_at").to_pylist())
        return held_out(rows, **arguments)

    monkeypatch.setattr(validated, "held_out", judged)
    monkeypatch.setattr(validated.TrainingTables, "inputs", seen)
    found = [
        searched(tmp_path / name, fit=GnnOnValidation(before_test(given, config=CONFIG.evaluation)), num_trials=3)[:2]
        for name, given in (("one", tables), ("two", other))
    ]
    assert found[0] == found[1]
    assert max(newest) < start


def test_events_of_the_validation_slice_do_count() -> None:
    tables = two_tastes()
    split = global_time_split(tables.interactions, config=CONFIG.evaluation)
    at_E = tables.interactions.column("last_event_at")
    inside = pc.and_(
        pc.greater_equal(at_E, pa.scalar(split.validation_start, TIMESTAMP)), pc.less(at_E, pa.scalar(split.test_start, TIMESTAMP))
    )
    items = pc.if_else(inside, "i01", tables.interactions.column("item_id"))
    rows = tables.interactions.set_column(tables.interactions.schema.get_field_index("item_id"), "item_id", items)
    figures = [
        GnnOnValidation(before_test(given, config=CONFIG.evaluation))(CONFIG).figures.searched_V.mean()
        for given in (tables, dataclasses.replace(tables, interactions=rows))
    ]
    assert figures[0] != figures[1]


def test_a_fit_and_its_search_see_no_like_of_the_users_who_judge(monkeypatch) -> None:
    """Their new likes are turned into others: nothing that chooses moves, what judges does."""

    def fitted(disturb: bool):
        found = []

        def truth_of(rows, **arguments):
            truth = held_out(rows, **arguments)
            judging = np.flatnonzero(np.diff(truth.relevant_UI.indptr))[1::2]
            if disturb:
                liked_UI = truth.relevant_UI.toarray()
                liked_UI[judging] = liked_UI[judging, ::-1] * (arguments["inputs"].seen_UI.toarray()[judging] == 0)
                assert (liked_UI[judging] > 0).any(axis=1).all()
                truth = dataclasses.replace(truth, relevant_UI=sp.csr_array(liked_UI))
            found.append(len(judging))
            return truth

        monkeypatch.setattr(validated, "held_out", truth_of)
        return GnnOnValidation(before_test(two_tastes(), config=CONFIG.evaluation))(CONFIG), found[0]

    (plain, num_judging), (other, _) = fitted(False), fitted(True)
    assert len(plain.figures.held_out_W) == num_judging > 5
    assert other.history == plain.history
    np.testing.assert_array_equal(other.figures.searched_V, plain.figures.searched_V)
    assert other.figures.held_out_W.mean() < plain.figures.held_out_W.mean()


def test_hopeless_settings_are_cut_short(tmp_path) -> None:
    config = changed(CONFIG, {"model.epochs": 8, "model.patience": 8})
    hopeless = SearchConfig(num_random_trials=9, num_whole_trials=1, space={"model.learning_rate": Range(low=30.0, high=300.0, log=True)})
    config = config.model_copy(update={"search": hopeless})
    attempts, verdict, _ = searched(tmp_path, config=config, num_trials=4)
    assert attempts[0].state == "complete"
    cut = [attempt for attempt in attempts if attempt.state == "pruned"]
    assert cut
    assert all(attempt.num_epochs < 8 for attempt in cut)
    assert verdict.best.place == 0
    assert verdict.changes == {}
    assert not verdict.holds


class Scripted:
    """A fit whose figures are known: `gain` for a deep network, to the users searched on `flattery` more; noise of its seed for all."""

    def __init__(self, gain: float, *, flattery: float = 0.0, noise: float = 0.0, broken: dict[int, Exception] | None = None) -> None:
        self.gain, self.flattery, self.noise, self.broken = gain, flattery, noise, broken or {}
        self.fitted = []

    def __call__(self, config, *, after_epoch=None) -> Validated:
        layers = config.model.num_layers
        self.fitted.append((layers, config.model.seed))
        if layers in self.broken:
            raise self.broken[layers]
        rng = np.random.default_rng((layers, config.model.seed))
        gains = self.gain + self.flattery, self.gain
        figures = Figures(*(0.4 + gain * (layers == 3) + self.noise * rng.normal(size=50) for gain in gains))
        epoch = Epoch(1, 0.0, float(figures.searched_V.mean()))
        if after_epoch:
            after_epoch(epoch)
        return Validated(figures, (epoch,))


LAYERS = CONFIG.model_copy(update={"search": SearchConfig(num_random_trials=20, space={"model.num_layers": Range(choices=(1, 2, 3))})})


def test_a_gain_beyond_doubt_holds_from_another_seed(tmp_path) -> None:
    fit = Scripted(0.1, noise=0.02)
    _, verdict, _ = searched(tmp_path, config=LAYERS, fit=fit, num_trials=9)
    assert verdict.holds
    assert verdict.changes == {"model.num_layers": 3}
    assert {(2, 7), (3, 7), (2, 8), (3, 8)} <= set(fit.fitted)
    assert verdict.lead.mean == pytest.approx(0.1, abs=0.02)
    # Asked again, all of it is there.
    again = Scripted(0.1, noise=0.02)
    assert searched(tmp_path, config=LAYERS, fit=again, num_trials=9)[1] == verdict
    assert again.fitted == []


@pytest.mark.parametrize(("gain", "flattery", "holds"), [(0.0, 0.1, False), (0.1, 0.0, True), (0.1, -0.05, True)])
def test_what_only_the_users_it_was_chosen_by_gain_is_not_claimed(tmp_path, gain, flattery, holds) -> None:
    _, verdict, _ = searched(tmp_path, config=LAYERS, fit=Scripted(gain, flattery=flattery, noise=0.02), num_trials=9)
    assert verdict.changes == {"model.num_layers": 3}
    assert verdict.best.figure - verdict.profile.figure == pytest.approx(gain + flattery, abs=0.02)
    assert verdict.lead.mean == pytest.approx(gain, abs=0.02)
    assert verdict.holds is holds


def test_luck_does_not_hold(tmp_path) -> None:
    held = [
        searched(tmp_path / f"{seed}", config=changed(LAYERS, {"model.seed": seed}), fit=Scripted(0.0, noise=0.1), num_trials=6)[1]
        for seed in range(12)
    ]
    best_is_other = sum(bool(verdict.changes) for verdict in held)
    assert best_is_other >= 6
    assert sum(verdict.holds for verdict in held) <= best_is_other // 2


def test_settings_tried_before_are_not_fitted_again(tmp_path) -> None:
    fit = Scripted(0.1)
    attempts, _, _ = searched(tmp_path, config=LAYERS, fit=fit, num_trials=8)
    assert len(attempts) == 8
    assert sorted(layers for layers, seed in fit.fitted if seed == 7) == [1, 2, 3]


def test_what_cannot_be_fitted_is_told_and_the_search_goes_on(tmp_path) -> None:
    broken = {1: MemoryError("no room"), 3: RuntimeError("CUDA out of memory")}
    attempts, verdict, _ = searched(tmp_path, config=LAYERS, fit=Scripted(0.0, broken=broken), num_trials=7)
    reasons = {attempt.reason for attempt in attempts if attempt.state == "failed"}
    assert reasons == {"MemoryError: no room", "RuntimeError: CUDA out of memory"}
    assert len(attempts) == 7
    assert verdict.best.place == 0


def test_a_mistake_of_ours_is_no_failed_trial(tmp_path) -> None:
    with pytest.raises(TypeError):
        searched(tmp_path, config=LAYERS, fit=Scripted(0.0, broken={1: TypeError("ours")}), num_trials=9)


def test_a_profile_that_cannot_be_fitted_ends_the_search(tmp_path) -> None:
    with pytest.raises(SearchError, match="no room"):
        searched(tmp_path, config=LAYERS, fit=Scripted(0.0, broken={2: MemoryError("no room")}))


def test_a_profile_outside_its_own_space_is_still_the_first_trial(tmp_path) -> None:
    space = {"model.num_layers": Range(choices=(1, 3)), "model.temperature": Range(low=0.2, high=0.3)}
    config = CONFIG.model_copy(update={"search": SearchConfig(num_random_trials=2, space=space)})
    attempts, _, _ = searched(tmp_path, config=config, fit=Scripted(0.1), num_trials=5)
    assert attempts[0].settings == {"model.num_layers": 2, "model.temperature": 0.16}
    assert all(attempt.settings["model.num_layers"] in {1, 3} for attempt in attempts[1:])


def test_drawn_values_keep_to_their_ranges(tmp_path) -> None:
    space = {
        "model.batch_size": Range(low=100, high=1050, step=100),
        "model.temperature": Range(low=0.1, high=0.37, step=0.1),
        "model.num_negatives": Range(low=1, high=1000, log=True),
        "model.learning_rate": Range(low=0.00123456, high=0.00123457),
    }
    config = CONFIG.model_copy(update={"search": SearchConfig(num_random_trials=4, space=space)})
    attempts, _, _ = searched(tmp_path, config=config, fit=Scripted(0.1), num_trials=12)
    for attempt in attempts[1:]:
        for name, value in attempt.settings.items():
            assert space[name].holds(value), (name, value)
        assert isinstance(attempt.settings["model.batch_size"], int)


def test_importances_name_what_matters_and_say_nothing_of_few_trials(tmp_path) -> None:
    space = {"model.num_layers": Range(choices=(1, 2, 3)), "model.regularization": Range(low=0.0, high=1.0)}
    config = CONFIG.model_copy(update={"search": SearchConfig(num_random_trials=20, space=space)})
    few = searched(tmp_path / "few", config=config, fit=Scripted(0.1), num_trials=3)[2]
    many = searched(tmp_path / "many", config=config, fit=Scripted(0.1), num_trials=20)[2]
    assert importances(few) == {}
    found = importances(many)
    assert found["model.num_layers"] > found["model.regularization"]
    assert sum(found.values()) == pytest.approx(1.0)


def test_inputs_are_built_again_only_for_settings_they_depend_on(monkeypatch) -> None:
    built = []
    build = validated.TrainingTables.inputs
    monkeypatch.setattr(validated.TrainingTables, "inputs", lambda self, **given: built.append(1) or build(self, **given))
    fit = GnnOnValidation(before_test(two_tastes(), config=CONFIG.evaluation))
    fit(CONFIG)
    fit(changed(CONFIG, {"model.temperature": 0.3}))
    assert len(built) == 1
    fit(changed(CONFIG, {"graph.half_life_days": 30.0}))
    assert len(built) == 2


def test_what_after_epoch_raises_ends_the_fit() -> None:
    heard = []

    def stop(epoch: Epoch) -> None:
        heard.append(epoch)
        if epoch.number == 2:
            raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        GnnOnValidation(before_test(two_tastes(), config=CONFIG.evaluation))(CONFIG, after_epoch=stop)
    assert [epoch.number for epoch in heard] == [1, 2]
    assert all(epoch.validation is not None for epoch in heard)


def test_hearing_of_epochs_changes_no_bit() -> None:
    tables = before_test(two_tastes(), config=CONFIG.evaluation)
    inputs = tables.tables.inputs(config=CONFIG, as_of=tables.validation_start)
    models = [InterestGNN(CONFIG.model).fit(inputs, rng=np.random.default_rng(7), after_epoch=heard) for heard in (None, lambda _: None)]
    assert np.array_equal(models[0].item_vectors, models[1].item_vectors)


def test_too_little_to_compare_by_says_so(tmp_path) -> None:
    young = interactions([("a", "i00", 1.0, 1.0), ("b", "i01", 1.0, 1.0)])
    with pytest.raises(EvaluationError, match="at least 3"):
        before_test(dataclasses.replace(two_tastes(), interactions=young), config=CONFIG.evaluation)
    strangers = interactions([(f"u{day}", f"i{day:02}", 1.0, float(day)) for day in range(10)])
    tables = before_test(dataclasses.replace(two_tastes(), interactions=strangers), config=CONFIG.evaluation)
    with pytest.raises(SearchError, match="0 user"):
        searched(tmp_path, fit=GnnOnValidation(tables))

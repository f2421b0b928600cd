"""A search from the command line's side: on finished days only, its best a profile that loads to what was tried."""

import dataclasses
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.config import DatasetHome, load_profile
from ml.config.changes import changed
from ml.contracts import CONTRACTS
from ml.days import days_through
from ml.errors import MissingTableError
from ml.models.validation import Lead
from ml.training.releasing import undecided
from ml.training.search import Verdict
from ml.training.studies import Attempt
from ml.training.trial import untried
from orchestration.assets.model import TABLES
from orchestration.progress import Heartbeat
from orchestration.scope import Scope
from orchestration.tuning import attempt_line, conclusion, made_from, setting_rows, tune, tuned_profile
from tests.ml.evaluation.interaction_rows import at
from tests.ml.training.taste_worlds import END, two_tastes

# Vectors are pulled to nothing by steps that overshoot it: half of the NDCG is lost, and any sensible trial is better beyond doubt.
HOPELESS = """# 我的设置
model:
  {embedding_size: 8, epochs: 6, batch_size: 256, num_negatives: 32, device: cpu, learning_rate: 100.0, regularization: 1000.0,
  popularity_correction: 0.0}
text: {prompt: "商品："}
search:
  num_trials: 3
  space: {model.learning_rate: {low: 0.01, high: 0.05}, model.regularization: {low: 1.0e-6, high: 1.0e-4, log: true}}
"""
LAST = END.date() - timedelta(days=1)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("profiles") / "hopeless.yaml"
    path.write_text(HOPELESS, encoding="utf-8")
    return path


@pytest.fixture
def scope(tmp_path, profile) -> Scope:
    """The world of two tastes as the tables of a finished day."""
    dataset = SimpleNamespace(name="tastes", start=at(0).date())
    found = Scope(dataset, DatasetHome(tmp_path / "home", "tastes"), load_profile(profile))
    tables = two_tastes(num_users=400)
    for day in days_through(dataset.start, LAST):
        rows = tables.interactions
        found.store.write(CONTRACTS["interactions"], rows.filter(pc.equal(rows.column("day"), pa.scalar(day))), day=day)
    for name in TABLES[1:]:
        table = getattr(tables, name)
        table = CONTRACTS[name].empty() if table is None else table
        if name == "items":
            table = table.set_column(0, table.schema.field(0), pa.array([LAST] * table.num_rows, pa.date32()))
        found.store.write(CONTRACTS[name], table, day=LAST)
    decision = undecided(untried("by hand"), releases=found.releases, last_full_fit=None)
    found.store.write(CONTRACTS["release_decisions"], decision, day=LAST)
    return found


def test_the_best_is_written_as_a_profile_that_loads_to_what_was_tried(scope, profile, tmp_path) -> None:
    lines = []
    found = tune(scope, profile=profile, day=None, out=tmp_path / "better.yaml", log=lines.append)
    assert found.verdict.holds, conclusion(found.verdict)
    assert found.verdict.lead.mean > 4 * found.verdict.lead.standard_error
    assert found.written == tmp_path / "better.yaml"
    text = found.written.read_text(encoding="utf-8")
    assert load_profile(found.written) == changed(scope.config, found.verdict.changes)
    assert load_profile(found.written).text.prompt == "商品："
    assert "商品：" in text
    assert text.startswith("# Found by interest-graph tune on tastes, 2026-01-20: trial ")
    assert str(tmp_path) not in text
    assert f"{found.verdict.lead.mean:+.4f}" in text.split("\nmodel:")[0]
    assert sum(line.startswith("trial ") for line in lines) == 3
    rows = {row["setting"]: row for row in setting_rows(found, config=scope.config)}
    assert rows["model.learning_rate"]["profile"] == 100.0
    assert 0.01 <= rows["model.learning_rate"]["best"] <= 0.05


def test_a_search_asked_again_fits_nothing_and_comes_to_the_same(scope, profile) -> None:
    first = tune(scope, profile=profile, day=LAST, out=None, log=lambda _: None)
    content = first.written.read_bytes()
    lines = []
    again = tune(scope, profile=profile, day=LAST, out=None, log=lines.append)
    assert (again.attempts, again.verdict) == (first.attempts, first.verdict)
    assert again.written.read_bytes() == content
    assert not any(line.startswith("trial ") for line in lines)
    assert "3 of 3 trials are there" in lines[0]


def test_without_a_finished_day_it_says_to_run_first(scope, profile) -> None:
    with pytest.raises(MissingTableError, match="interest-graph run --day 2026-01-10 first"):
        tune(scope, profile=profile, day=LAST - timedelta(days=10), out=None, log=print)
    empty = dataclasses.replace(scope, home=DatasetHome(scope.home.root / "other", "tastes"))
    with pytest.raises(MissingTableError, match="interest-graph run first"):
        tune(empty, profile=profile, day=None, out=None, log=print)


def test_what_decides_no_figure_begins_no_new_study(scope) -> None:
    def with_section(section: str, **values):
        part = getattr(scope.config, section).model_copy(update=values)
        return dataclasses.replace(scope, config=scope.config.model_copy(update={section: part}))

    base = made_from(scope, day=LAST)
    for same in (with_section("search", num_trials=99, timeout_minutes=1.0), with_section("ranking", top_k=3)):
        assert made_from(same, day=LAST) == base
    for other, name in (
        (with_section("search", seed=8), "search"),
        (with_section("model", temperature=0.3), "settings"),
        (with_section("evaluation", validation_share=0.2), "settings"),
    ):
        found = made_from(other, day=LAST)
        assert [part for part in base if base[part] != found[part]] == [name]


ATTEMPT = Attempt(3, {"model.temperature": 0.1}, "complete", 0.25, 7, None)


def verdict(lead: float, again: float | None, *, changes=ATTEMPT.settings) -> Verdict:
    second = None if again is None else Lead(again, 0.01)
    return Verdict(ATTEMPT, dataclasses.replace(ATTEMPT, place=0), changes, 50, Lead(lead, 0.01), second)


@pytest.mark.parametrize(
    ("found", "said", "holds"),
    [
        (verdict(0.0, None, changes={}), "no trial was better", False),
        (verdict(0.005, None), "not beyond one standard error", False),
        (verdict(0.05, 0.005), "another seed does not confirm", False),
        (verdict(0.05, 0.03), "better: trial 4 leads by +0.0500", True),
    ],
)
def test_what_is_claimed_is_what_holds(found, said, holds) -> None:
    assert said in conclusion(found)
    assert found.holds is holds


def test_a_trials_end_is_a_line() -> None:
    assert attempt_line(ATTEMPT, num_trials=9) == "trial 4 of 9: validation NDCG@10 0.2500, 7 epochs; model.temperature 0.1"
    failed = dataclasses.replace(ATTEMPT, state="failed", figure=None, reason="MemoryError: no room")
    assert "failed: MemoryError: no room" in attempt_line(failed, num_trials=9)


def test_an_empty_profile_gets_what_was_found(tmp_path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# the defaults\n{}\n")
    path.with_name("new.yaml").write_text(tuned_profile(path, verdict=verdict(0.05, 0.03), story="two\nlines"))
    assert path.with_name("new.yaml").read_text().startswith("# two\n# lines\n")
    assert load_profile(path.with_name("new.yaml")).model.temperature == 0.1


def test_silence_is_broken_and_speech_is_not() -> None:
    import time

    silent, spoken = [], []
    with Heartbeat(silent.append, every_seconds=0.2) as heartbeat:
        heartbeat.note("epoch 3")
        time.sleep(0.7)
    with Heartbeat(spoken.append, every_seconds=0.5) as heartbeat:
        for _ in range(7):
            heartbeat.say("line")
            time.sleep(0.1)
    assert silent
    assert all(line.startswith("epoch 3") for line in silent)
    assert set(spoken) == {"line"}

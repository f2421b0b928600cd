"""A home whose encoder is fine-tuned: a space of its own from the day it gained, one choice for the days between, look-ups in it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ml.contracts import CONTRACTS
from ml.finetuning.encoders import model_folder
from tests.ml.text.tiny_models import write_tiny_model

# The tiny model reads eight words, so new tokens have everything to gain; two fits a week, a fine-tuning every eight days.
PROFILE = """
text: {{model: {model}, revision: "", max_tokens: 32, device: cpu, dtype: float32}}
finetuning:
  {{enabled: true, every_full_fits: 2, min_pairs: 20, min_held_out_pairs: 5, held_out_share: 0.2, epochs: 12, patience: 12, batch_size: 32,
    learning_rate: 5.0e-3, new_token_learning_rate: 3.0e-2, min_token_texts: 1, pair_kinds: [title_text, title_tags, search_item]}}
interests: {{max_keyphrases: 200}}
model: {{embedding_size: 16, epochs: 3, patience: 2, full_fit_every_days: 4, batch_size: 1024, num_negatives: 256}}
evaluation: {{num_bootstrap: 100}}
ranking: {{top_k: 10, num_similar: 5}}
monitoring: {{max_sample: 1000}}
"""


@pytest.fixture(scope="module")
def tuned_world(new_world, command, tmp_path_factory):
    """Days 8 to 10 of a small shop: day 8 fine-tunes, and stands on nothing before it."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "tuned.yaml").write_text(PROFILE.format(model=write_tiny_model(folder / "tiny", hidden_size=32)))
    world = new_world("tuned-world", num_days=11)
    world.environ["INTEREST_GRAPH_PROFILE"] = str(folder / "tuned.yaml")
    done = command(world, "backfill", str(world.day(9)), str(world.day(10)))
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return world


def space(world, day) -> str:
    (found,) = set(world.scope().store.read(CONTRACTS["item_embeddings"], day=day).column("space_id").to_pylist())
    return found


def test_the_day_it_stands_on_was_made_on_the_way_and_gained(tuned_world) -> None:
    encoders = tuned_world.scope().encoders
    choice = encoders.read(tuned_world.day(8))
    assert choice.fine_tuned_on == tuned_world.day(8), choice.reason
    assert {figures.kind for figures in choice.figures} >= {"title_text"}
    for day in (9, 10):
        later = encoders.read(tuned_world.day(day))
        assert later == choice.without_figures()
        assert not model_folder(encoders.directory(tuned_world.day(day))).exists()
    assert not list(tuned_world.scope().home.fine_tuning.glob("*"))


def test_all_texts_of_a_day_lie_in_the_new_space(tuned_world) -> None:
    store, day = tuned_world.scope().store, tuned_world.day(10)
    found = space(tuned_world, day)
    assert found.startswith("fine-tuned-")
    assert space(tuned_world, tuned_world.day(9)) == found
    for name in ("interest_points", "user_text_embeddings"):
        assert set(store.read(CONTRACTS[name], day=day).column("space_id").to_pylist()) == {found}, name


def test_look_ups_read_a_text_with_the_encoder_of_the_day(tuned_world, command) -> None:
    for arguments in (("recommend", "--query", "warm hat", "--json"), ("knowledge-nodes", "warm hat", "--json")):
        done = command(tuned_world, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        assert json.loads(done.stdout), arguments


def test_asked_again_nothing_is_made_and_nothing_moves(tuned_world, command) -> None:
    before = {path: path.stat().st_mtime_ns for path in tuned_world.scope().home.encoders.rglob("*") if path.is_file()}
    done = command(tuned_world, "backfill", str(tuned_world.day(10)), str(tuned_world.day(10)))
    assert done.returncode == 0, done.stderr[-4000:]
    assert before == {path: path.stat().st_mtime_ns for path in tuned_world.scope().home.encoders.rglob("*") if path.is_file()}


def test_a_model_that_is_gone_is_made_again_to_the_same_bytes(tuned_world, command) -> None:
    scope = tuned_world.scope()
    folder = model_folder(scope.encoders.directory(tuned_world.day(8)))
    revision = scope.encoders.read(tuned_world.day(8)).revision
    shutil.rmtree(folder)
    refused = command(tuned_world, "recommend", "--query", "warm hat", "--json")
    assert refused.returncode == 2
    assert "no longer there" in refused.stderr
    assert str(tuned_world.day(8)) in refused.stderr
    done = command(tuned_world, "backfill", str(tuned_world.day(10)), str(tuned_world.day(10)))
    assert done.returncode == 0, done.stderr[-4000:]
    assert scope.encoders.read(tuned_world.day(8)).revision == revision
    assert (folder / "model.safetensors").exists()


def test_settings_that_change_and_change_back_are_never_taken_for_made(tuned_world, command, tmp_path) -> None:
    """The record of a run must not outlive a backfill that made its day with other settings."""
    off = tmp_path / "off.yaml"
    off.write_text(Path(tuned_world.environ["INTEREST_GRAPH_PROFILE"]).read_text().replace("enabled: true", "enabled: false"))
    day = str(tuned_world.day(10))
    for arguments, is_fine_tuned in (
        (("run", "--day", day, "--profile", str(off)), False),
        (("backfill", day, day), True),
        (("run", "--day", day, "--profile", str(off)), False),
    ):
        done = command(tuned_world, *arguments)
        assert done.returncode == 0, done.stderr[-4000:]
        assert (tuned_world.scope().encoders.read(tuned_world.day(10)).fine_tuned_on is not None) == is_fine_tuned, arguments


def test_off_by_default_every_day_names_the_profiles_own(finished_world) -> None:
    scope = finished_world.scope()
    choice = scope.encoders.read(finished_world.last)
    assert choice.fine_tuned_on is None
    assert "finetuning.enabled is off" in choice.reason
    assert not list(Path(scope.home.encoders).rglob("*.safetensors"))


def test_another_model_at_the_same_place_is_another_setting(finished_world, tmp_path) -> None:
    scope = finished_world.scope()
    assert scope.model_content == ""
    content = []
    for seed in (0, 1):
        folder = write_tiny_model(tmp_path / "model", seed=seed)
        text = scope.config.text.model_copy(update={"model": str(folder)})
        content.append(replace(scope, config=scope.config.model_copy(update={"text": text})).model_content)
    assert content[0] != content[1]

"""A fine-tuning as a whole: it gains where there is something to learn, says why where it does not, and is repeatable."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml.config import PipelineConfig
from ml.contracts.manifest import Recipe
from ml.epochs.checkpoints import Checkpoints
from ml.errors import ConfigError, MissingTableError
from ml.finetuning.choice import EncoderChoice, KindFigures, read_choice
from ml.finetuning.choosing import fine_tuned_choice
from ml.finetuning.encoders import EncoderStore, model_folder
from ml.finetuning.finetune import Finetuned, NotFinetuned, changes, finetune, gain_interval
from ml.finetuning.pairs import TEST, VALIDATION, find_pairs, parts
from ml.finetuning.retrieval import RetrievalTask
from ml.text.encoder import load_encoder
from tests.ml.finetuning.test_pairs import after, met
from tests.ml.finetuning.worlds import AS_OF, EVALUATION, FINETUNING, sources, tiny_text, translated
from tests.ml.interests.catalogues import make_items

DAY = date(2026, 2, 28)


def run(folder: Path, *, items: pa.Table | None = None, **settings: object) -> Finetuned | NotFinetuned:
    return finetune(
        sources(items),
        text=tiny_text(folder),
        config=FINETUNING.model_copy(update=settings),
        evaluation=EVALUATION,
        folder=folder / "model",
    )


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory) -> tuple[Finetuned, Path]:
    folder = tmp_path_factory.mktemp("finetuned")
    found = run(folder)
    assert isinstance(found, Finetuned)
    return found, folder


def test_words_it_could_not_read_are_learned_and_held_out_items_found(finetuned) -> None:
    found, folder = finetuned
    assert found.unread_before > 0.9
    assert found.unread_after == 0.0
    assert found.num_new_tokens == 40
    (figures,) = found.figures
    assert figures.num_new_documents == figures.num_held_out
    assert figures.recall_after_new == figures.recall_after
    assert figures.recall_before < 0.2
    assert figures.recall_after > figures.recall_before + 0.3
    assert found.is_better
    assert found.gain_low <= found.gain <= found.gain_high
    assert load_encoder(tiny_text(folder).model_copy(update={"model": str(folder / "model")})).space.revision == found.revision


def test_it_is_a_space_of_its_own(finetuned) -> None:
    _, folder = finetuned
    text = tiny_text(folder)
    base, tuned = load_encoder(text), load_encoder(text.model_copy(update={"model": str(folder / "model")}))
    assert base.space.space_id != tuned.space.space_id


def test_the_same_sources_give_the_same_bytes(finetuned, tmp_path) -> None:
    assert run(tmp_path).revision == finetuned[0].revision
    assert run(tmp_path, items=translated().take(pa.array(np.random.default_rng(0).permutation(100)))).revision == finetuned[0].revision


def test_no_held_out_text_is_trained_on(tmp_path, monkeypatch) -> None:
    seen: list[str] = []
    from ml.finetuning import finetune as module

    real = module.training_pairs

    def spied(pairs: pa.Table, **settings: object) -> object:
        seen.extend([*pairs.column("anchor").to_pylist(), *pairs.column("document").to_pylist()])
        return real(pairs, **settings)

    monkeypatch.setattr(module, "training_pairs", spied)
    run(tmp_path, epochs=1)
    pairs = find_pairs(sources(), config=FINETUNING, as_of=AS_OF)
    part_N = parts(pairs, items=translated(), held_out_share=FINETUNING.held_out_share)
    held_out = pairs.filter(pa.array((part_N == TEST) | (part_N == VALIDATION)))
    assert held_out.num_rows > 10
    assert not set(seen) & {*held_out.column("anchor").to_pylist(), *held_out.column("document").to_pylist()}


def test_nothing_to_learn_leaves_the_encoder_as_it_is(tmp_path) -> None:
    """Descriptions dealt at random: what is learned of some items says nothing of the others."""
    items = translated()
    dealt = items.column("text").take(pa.array(np.random.default_rng(5).permutation(items.num_rows)))
    items = items.set_column(items.schema.get_field_index("text"), "text", dealt)
    found = run(tmp_path, items=items, max_new_tokens=0, epochs=5, patience=1)
    assert isinstance(found, Finetuned)
    assert not found.is_better


@pytest.mark.parametrize(
    ("settings", "reason"), [({"min_pairs": 500}, "min_pairs asks for 500"), ({"min_held_out_pairs": 90}, "90 held out")]
)
def test_too_little_to_learn_from_is_said(tmp_path, settings, reason) -> None:
    found = run(tmp_path, **settings)
    assert isinstance(found, NotFinetuned)
    assert reason in found.reason
    assert not (tmp_path / "model").exists()


def test_an_empty_catalogue_is_no_failure(tmp_path) -> None:
    assert isinstance(run(tmp_path, items=translated().slice(0, 0)), NotFinetuned)


def test_users_after_the_cut_change_nothing(tmp_path) -> None:
    """What users do inside the validation and test windows of the models must not reach the encoder."""
    items = translated()
    ids = items.column("item_id").to_pylist()
    early = [("u", item, 1.0, after(60 * number)) for number, item in enumerate(ids)]
    late = [("v", item, 1.0, after(60 * 95 + number)) for number, item in enumerate(ids[::3])]
    config = FINETUNING.model_copy(update={"pair_kinds": ("title_text", "basket"), "epochs": 1})
    asked = {"text": tiny_text(tmp_path), "config": config, "evaluation": EVALUATION, "folder": tmp_path / "model"}
    from ml.evaluation.split import global_time_split

    known, more = met(*early), met(*early, *late)
    cut = min(global_time_split(table, config=EVALUATION).validation_start for table in (known, more))
    assert cut < after(60 * 95)
    # As if the later likes had not been made: same cut, same pairs.
    rest = more.filter(pa.array([at.as_py() < cut for at in more.column("last_event_at")]))
    pairs = [find_pairs(sources(items, interactions=table), config=config, as_of=cut) for table in (more, rest)]
    assert pairs[0].equals(pairs[1])
    assert isinstance(finetune(sources(items, interactions=more), **asked), Finetuned)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("die_at", [1, 3])
def test_killed_after_any_epoch_it_ends_with_the_same_bits(tmp_path, monkeypatch, die_at) -> None:
    asked = {"config": FINETUNING.model_copy(update={"epochs": 4}), "evaluation": EVALUATION}
    text = tiny_text(tmp_path)
    whole = finetune(sources(), text=text, folder=tmp_path / "whole", **asked)
    write = Checkpoints.write

    def dying(self: Checkpoints, epoch: int, checkpoint: object) -> None:
        write(self, epoch, checkpoint)
        if epoch == die_at:
            raise KilledError

    monkeypatch.setattr(Checkpoints, "write", dying)
    with pytest.raises(KilledError):
        finetune(sources(), text=text, folder=tmp_path / "model", checkpoints=tmp_path / "checkpoints", **asked)
    monkeypatch.setattr(Checkpoints, "write", write)
    resumed = finetune(sources(), text=text, folder=tmp_path / "model", checkpoints=tmp_path / "checkpoints", **asked)
    assert resumed.revision == whole.revision
    assert resumed.history == whole.history


def test_a_choice_is_kept_with_its_model_and_read_by_later_days(tmp_path) -> None:
    config = PipelineConfig(text=tiny_text(tmp_path), finetuning=FINETUNING, evaluation=EVALUATION)
    store = EncoderStore(tmp_path / "encoders", workshop=tmp_path / "workshop")
    choice, outcome = fine_tuned_choice(sources(), day=DAY, config=config, workshop=store.workshop(DAY))
    assert isinstance(outcome, Finetuned)
    assert choice.fine_tuned_on == DAY
    assert choice.reason.startswith("fine-tuned: Recall@10 of held-out pairs +")
    store.write(choice, day=DAY, recipe=Recipe())
    assert not store.workshop(DAY).exists()
    assert store.read(DAY) == choice
    later = choice.without_figures()
    store.write(later, day=date(2026, 3, 1), recipe=Recipe())
    assert [path.name for path in store.directory(date(2026, 3, 1)).iterdir()] == ["encoder.json"]
    encoder = load_encoder(store.text_config(store.read(date(2026, 3, 1)), profile=config.text))
    assert encoder.space.revision == choice.revision == outcome.revision
    assert "fine-tuned" in encoder.space.space_id


def test_without_a_gain_the_profiles_own_stays_and_no_model_is_kept(tmp_path) -> None:
    few = make_items([{"item_id": f"i{n}", "title": f"a{n}", "text": f"b{n}"} for n in range(9)])
    config = PipelineConfig(text=tiny_text(tmp_path), finetuning=FINETUNING, evaluation=EVALUATION)
    store = EncoderStore(tmp_path / "encoders", workshop=tmp_path / "workshop")
    choice, _ = fine_tuned_choice(sources(few), day=DAY, config=config, workshop=store.workshop(DAY))
    store.write(choice, day=DAY, recipe=Recipe())
    assert choice.fine_tuned_on is None
    assert "min_pairs" in choice.reason
    assert not model_folder(store.directory(DAY)).exists()
    assert store.text_config(choice, profile=config.text) == config.text


def test_a_choice_survives_its_file_and_a_broken_one_is_named(tmp_path) -> None:
    choice = EncoderChoice(
        "since", fine_tuned_on=DAY, revision="sha256:0", figures=(KindFigures("basket", 1, 2, 3, 0.1, 0.2, 0, None, None),)
    )
    choice.write(tmp_path)
    assert read_choice(tmp_path) == choice
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"encoder\.json says of no encoder"):
        read_choice(tmp_path)


def test_a_day_without_a_choice_is_missing(tmp_path) -> None:
    with pytest.raises(MissingTableError, match="encoder has no partition"):
        EncoderStore(tmp_path, workshop=tmp_path).read(DAY)


def test_the_interval_is_of_the_mean_over_kinds() -> None:
    gain, low, high = gain_interval({"a": np.array([1.0] * 30 + [0.0] * 10), "b": np.zeros(5)}, config=EVALUATION)
    assert gain == pytest.approx(0.375)
    assert low < gain < high


def test_what_one_search_finds_counts_once() -> None:
    task = RetrievalTask(("a", "a", "a", "b"), ("w", "x", "y", "z"), np.arange(4))
    before, after = np.array([20, 20, 20, 1]), np.array([1, 1, 1, 1])
    assert changes((before, after), task=task).tolist() == [1.0, 0.0]


def test_a_kind_that_is_lost_for_sure_is_not_outweighed(finetuned) -> None:
    assert not replace(finetuned[0], kinds_lost=("basket",)).is_better

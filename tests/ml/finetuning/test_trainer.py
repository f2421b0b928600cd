"""Steps over batches: memory changes nothing, a few pairs are learned by heart, same seed same bits."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch

from ml.config.pipeline import FinetuningConfig
from ml.errors import ConfigError
from ml.finetuning.trainer import PairTrainer, TrainingPairs, batches
from ml.text.batches import TokenizedTexts
from ml.text.weights import find_model, load_model
from tests.ml.text.tiny_models import write_tiny_model

NUM_PAIRS = 20


@pytest.fixture
def trainer(tmp_path) -> Callable[..., PairTrainer]:
    """Trainers over one tiny model and twenty pairs of two or three of its words, of two kinds."""
    folder = write_tiny_model(tmp_path / "tiny")
    # Pairs of words out of eight, so that no two texts are the same.
    words = [(first, second) for first in range(4, 11) for second in range(first + 1, 12)][:NUM_PAIRS]
    texts = [[2, *pair, 3] for pair in words] + [[2, second, first, second, 3] for first, second in words]
    tokens = TokenizedTexts.from_lists(texts, empty_id=0)
    pairs = TrainingPairs(tokens, np.arange(NUM_PAIRS), np.arange(NUM_PAIRS) + NUM_PAIRS, np.arange(NUM_PAIRS) % 2)

    def make(*, seed: int = 0, **settings: object) -> PairTrainer:
        return PairTrainer(
            load_model(find_model(str(folder), revision=""), dtype=torch.float32, device="cpu").network,
            pairs,
            config=FinetuningConfig.model_validate({"epochs": 60, "batch_size": 10, "learning_rate": 5e-3} | settings),
            pooling="mean",
            padding_id=0,
            in_bfloat16=False,
            num_known_tokens=None,
            generator=torch.Generator().manual_seed(seed),
        )

    return make


def weights(trainer: PairTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def test_twenty_pairs_are_learned_by_heart(trainer) -> None:
    found = trainer()
    first = found.epoch()
    for _ in range(59):
        last = found.epoch()
    assert first > 1.0
    assert last < 0.1


def test_a_batch_that_does_not_fit_gives_the_same_step(trainer) -> None:
    whole, in_chunks = trainer(), trainer(batch_tokens=64)
    batch = np.arange(NUM_PAIRS)
    assert int(whole._pairs.tokens.lengths.sum()) > 64
    assert whole.step(batch) == pytest.approx(in_chunks.step(batch), rel=1e-5)
    for name, value in weights(whole).items():
        assert torch.allclose(value, weights(in_chunks)[name], atol=2e-5), name


def test_gradients_are_gone_before_the_next_step(trainer) -> None:
    one, other = trainer(), trainer()
    batch = np.arange(0, NUM_PAIRS, 2)
    one.step(batch)
    other.network.load_state_dict(weights(one))
    other.optimizer.load_state_dict(deepcopy(one.optimizer.state_dict()))
    one.step(batch)
    other.step(batch)
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_the_same_seed_gives_the_same_bits_and_another_one_others(trainer) -> None:
    found = [trainer(seed=seed) for seed in (0, 0, 1)]
    losses = [each.epoch() for each in found]
    assert losses[0] == losses[1] != losses[2]
    one, same, other = map(weights, found)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_step_sizes_rise_and_then_fall_to_nothing(trainer) -> None:
    found = trainer(epochs=10)
    rates = []
    for _ in range(10):
        found.epoch()
        rates.append(found.optimizer.param_groups[0]["lr"])
    assert max(rates) == pytest.approx(5e-3, rel=0.2)
    assert 0 < rates[-1] < 0.1 * max(rates)
    assert int(np.argmax(rates)) <= 1


def test_a_new_token_hurries_no_known_one(trainer) -> None:
    """Token 11 counts as new: with a step twenty times as large its vector moves on, the others as without."""
    known, new = trainer(), trainer(new_token_learning_rate=0.1)
    new._num_known = 11
    new._rates[1] = new.optimizer.param_groups[1]["lr"] = 0.1
    start = known._vectors_VD.detach().clone()
    batch = np.arange(NUM_PAIRS)
    known.step(batch)
    new.step(batch)
    moved, hurried = ((each._vectors_VD.detach() - start).norm(dim=1) for each in (known, new))
    assert torch.allclose(moved[:11], hurried[:11], rtol=1e-3)
    assert float(hurried[11] / moved[11]) == pytest.approx(20, rel=0.05)


def test_a_loss_that_runs_away_names_the_setting(trainer) -> None:
    found = trainer()
    with torch.no_grad():
        next(found.network.parameters()).fill_(float("nan"))
    with pytest.raises(ConfigError, match=r"lower finetuning\.learning_rate"):
        found.step(np.arange(NUM_PAIRS))


@pytest.mark.parametrize("size", [2, 3, 7, 100])
def test_every_pair_is_in_one_batch_of_its_kind(size) -> None:
    kind_N = np.array([0] * 9 + [1] * 4 + [2])
    found = list(batches(kind_N, size=size, generator=torch.Generator().manual_seed(1)))
    assert sorted(np.concatenate(found).tolist()) == list(range(14))
    assert all(len(set(kind_N[batch].tolist())) == 1 for batch in found)
    assert all(size <= len(batch) < 2 * size for batch in found if (kind_N == kind_N[batch[0]]).sum() >= size)

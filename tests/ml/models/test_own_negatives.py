"""Negatives of a like's own: near in the graph, disliked, never liked; and what they do to loss and ranking."""

import numpy as np
import pytest
import torch

from ml.config.pipeline import LightGCNConfig, ModelConfig
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.gnn.loss import EXCLUDED, OwnNegatives, sampled_softmax_loss
from ml.models.gnn.own_negatives import DrawnNegatives, own_negatives
from ml.models.gnn.sampling import likes_to_learn
from ml.models.inputs import ModelInputs
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

BOTH = ModelConfig(hard_negative_share=0.4, disliked_negative_weight=0.2)


def drawn(inputs: ModelInputs, *, config: ModelConfig = BOTH, seed: int = 0) -> DrawnNegatives:
    sampler = own_negatives(inputs, config=config)
    assert sampler is not None
    return sampler.draw(likes_to_learn(inputs, weight_power=1.0), generator=torch.Generator().manual_seed(seed))


def negative_loss(*, own: OwnNegatives | None, users: torch.Tensor, items: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    one_B = torch.ones(len(users))
    hits_BN = torch.zeros(len(users), len(negatives), dtype=torch.bool)
    return sampled_softmax_loss(
        users, items, negatives, hits_BN=hits_BN, log_share_B=-2 * one_B, weight_B=0.5 * one_B, temperature=0.3, own=own
    )


def test_near_items_are_two_steps_away_and_not_liked() -> None:
    inputs = awkward_world()
    liked_UI = inputs.positives_UI.toarray() > 0
    learned, found = likes_to_learn(inputs, weight_power=1.0), drawn(inputs)
    counts_BM = found.log_weight_BM > EXCLUDED
    assert counts_BM[:, :-1].any()
    for user, item, near_M, counts_M in zip(learned.user_E, learned.item_E, found.item_BM[:, :-1], counts_BM[:, :-1], strict=True):
        for near in near_M[counts_M].tolist():
            assert not liked_UI[user, near]
            assert (liked_UI[:, item] & liked_UI[:, near]).any()


def test_disliked_items_are_their_users() -> None:
    liked_UI = np.array([[1.0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    disliked_UI = np.array([[0.0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    inputs = make_inputs(liked_UI, disliked_UI=disliked_UI)
    user_E = likes_to_learn(inputs, weight_power=1.0).user_E.numpy()
    of_first = set()
    for seed in range(20):
        found = drawn(inputs, config=ModelConfig(disliked_negative_weight=0.25), seed=seed)
        item_B, weight_B = found.item_BM[:, -1].numpy(), found.log_weight_BM[:, -1].numpy()
        assert (weight_B[user_E == 1] == EXCLUDED).all()
        assert (item_B[user_E == 2] == 2).all()
        np.testing.assert_allclose(np.exp(weight_B[user_E != 1]), 0.25, rtol=1e-5)
        of_first |= set(item_B[user_E == 0].tolist())
    assert of_first == {3, 4}
    assert found.shared_weight == 1.0


def test_nothing_is_drawn_where_nothing_is_asked_for_or_liked() -> None:
    assert own_negatives(awkward_world(), config=ModelConfig(hard_negative_share=0.0, disliked_negative_weight=0.0)) is None
    assert own_negatives(make_inputs(np.zeros((2, 3))), config=BOTH) is None
    only_like = drawn(make_inputs(np.array([[1.0]])))
    assert (only_like.log_weight_BM == EXCLUDED).all()


def test_the_loss_with_own_negatives_by_hand() -> None:
    """Value and gradients against torch's own differentiation of the formula, over more likes than one block holds."""
    generator = torch.Generator().manual_seed(0)
    users, items, negatives = (torch.randn(size, 4, generator=generator, requires_grad=True) for size in (1500, 1500, 7))
    near = torch.randn(1500, 2, 4, generator=generator, requires_grad=True)
    log_weight_BM = torch.tensor([[np.log(0.3), EXCLUDED], [EXCLUDED, EXCLUDED], [np.log(0.1), np.log(0.2)]]).float().repeat(500, 1)
    found = negative_loss(own=OwnNegatives(near, log_weight_BM, 0.6), users=users, items=items, negatives=negatives)
    logit_B = (users * items).sum(1) / 0.3 - 2
    own_B = (((users[:, None] * near).sum(2) / 0.3).exp() * log_weight_BM.exp()).sum(1)
    total_B = logit_B.exp() + own_B + 0.6 * (users @ negatives.T / 0.3).exp().mean(1)
    expected = (0.5 * (total_B.log() - logit_B)).mean()
    torch.testing.assert_close(found, expected)
    leaves = [users, items, negatives, near]
    for gradient, exact in zip(torch.autograd.grad(3 * found, leaves), torch.autograd.grad(3 * expected, leaves), strict=True):
        torch.testing.assert_close(gradient, exact, rtol=1e-4, atol=1e-7)


def test_the_loss_is_finite_at_any_temperature() -> None:
    users = torch.tensor([[1.0, 0.0]], requires_grad=True)
    for temperature in (1e-4, 0.01, 100.0):
        loss = sampled_softmax_loss(
            users,
            -users.detach(),
            users.detach(),
            hits_BN=torch.zeros(1, 1, dtype=torch.bool),
            log_share_B=torch.zeros(1),
            weight_B=torch.ones(1),
            temperature=temperature,
        )
        assert loss.item() == pytest.approx(np.logaddexp(0, 2 / temperature), rel=1e-3)
        assert torch.isfinite(torch.autograd.grad(loss, users)[0]).all()


def test_a_disliked_item_is_pushed_away_from_its_user_by_the_loss() -> None:
    """LightGCN propagates no dislikes, so only the loss can know that user 0 does not want item 2 of their own taste."""
    inputs, _ = two_tastes()
    liked_UI, disliked_UI = inputs.positives_UI.toarray(), np.zeros((48, 16))
    liked_UI[0, 2], disliked_UI[0, 2] = 0.0, 1.0
    inputs = make_inputs(liked_UI, disliked_UI=disliked_UI)

    def cosine(weight: float) -> float:
        config = LightGCNConfig(embedding_size=16, epochs=15, batch_size=64, num_negatives=64, disliked_negative_weight=weight)
        model = LightGCN(config).fit(inputs, rng=np.random.default_rng(3))
        return float(model.user_vectors[0] @ model.item_vectors[2])

    assert cosine(1.0) < cosine(0.0) - 0.05


def test_hard_and_in_batch_negatives_still_tell_tastes_apart_to_the_same_bits() -> None:
    inputs, withheld_U = two_tastes()
    config = ModelConfig(embedding_size=16, epochs=10, batch_size=64, num_negatives=16, hard_negative_share=0.3, in_batch_negatives=True)
    first, again = (InterestGNN(config).fit(inputs, rng=np.random.default_rng(3)) for _ in range(2))
    scores_UI = np.where(inputs.seen_UI.toarray() > 0, -np.inf, first.score(np.arange(48)))
    assert (scores_UI.argmax(axis=1) == withheld_U).all()
    assert first.user_vectors.tobytes() == again.user_vectors.tobytes()


def test_in_bfloat16_the_loss_and_its_gradients_are_near_those_in_float32() -> None:
    """As on CUDA, where products are rounded; sums and logarithms are not."""
    generator = torch.Generator().manual_seed(0)
    unit = [torch.nn.functional.normalize(torch.randn(size, 16, generator=generator), dim=1).requires_grad_() for size in (400, 400, 90)]
    users, items, negatives = unit
    exact = negative_loss(own=None, users=users, items=items, negatives=negatives)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = negative_loss(own=None, users=users, items=items, negatives=negatives)
    assert rounded.dtype == torch.float32
    assert rounded.item() != exact.item()
    assert rounded.item() == pytest.approx(exact.item(), rel=1e-2)
    for near, gradient in zip(torch.autograd.grad(rounded, unit), torch.autograd.grad(exact, unit), strict=True):
        assert near.dtype == torch.float32
        assert torch.linalg.norm(near - gradient) < 0.02 * torch.linalg.norm(gradient)

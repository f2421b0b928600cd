"""Parts of the GNN against their definitions: products, normalisation, propagation, spectral start, loss, negatives, validation."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.epochs.course import Epoch, best_epoch
from ml.graph.edge_types import FRIEND
from ml.graph.interest_graph import Edges, InterestGraph
from ml.models.adjacency import SparseProduct, normalize_symmetric, to_torch
from ml.models.gnn.fitting import rows
from ml.models.gnn.loss import sampled_softmax_loss
from ml.models.gnn.propagation import TypedPropagation
from ml.models.gnn.relations import relations_of
from ml.models.gnn.sampling import batches, likes_to_learn, sample_negatives
from ml.models.inputs import ModelInputs
from ml.models.spectral import centered, spectral_vectors, text_projection
from ml.models.validation import Validation, choose
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

CPU = torch.device("cpu")


def random_sparse(seed: int, shape: tuple[int, int], *, density: float = 0.4) -> sp.csr_array:
    rng = np.random.default_rng(seed)
    return sp.csr_array(rng.gamma(1.0, size=shape) * (rng.random(shape) < density))


def test_normalisation_is_each_weight_over_the_roots_of_both_degrees() -> None:
    weight_ST = np.array([[1.0, 3.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    expected = np.array([[1 / np.sqrt(4 * 1), 3 / np.sqrt(4 * 4), 0], [0, 1 / np.sqrt(1 * 4), 0], [0, 0, 0]])
    np.testing.assert_allclose(normalize_symmetric(sp.csr_array(weight_ST)).toarray(), expected, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 8))
def test_normalised_relations_never_amplify(seed: int, num_sources: int, num_targets: int) -> None:
    """The largest singular value of D^-1/2 A D^-1/2 is 1 (or 0 where there is no edge): stacked layers cannot blow up."""
    matrix = normalize_symmetric(random_sparse(seed, (num_sources, num_targets))).toarray()
    largest = np.linalg.norm(matrix, 2)
    assert largest <= 1 + 1e-5
    assert (largest > 1 - 1e-4) == matrix.any()


def test_the_gradient_of_a_sparse_product_is_that_of_the_dense_one() -> None:
    matrix_ST = random_sparse(0, (5, 7)).astype(np.float32)
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    product = SparseProduct.apply(to_torch(matrix_ST, device=CPU), to_torch(sp.csr_array(matrix_ST.T), device=CPU), x)
    (gradient,) = torch.autograd.grad((product * weights).sum(), x)
    dense = torch.from_numpy(matrix_ST.toarray())
    torch.testing.assert_close(product, dense @ x)
    torch.testing.assert_close(gradient, dense.T @ weights)


def test_one_layer_of_lightgcn_by_hand() -> None:
    """Layer mean of x and the signed, weighted, normalised neighbours; softplus keeps the starting weights 1 and 0.1."""
    liked_UI, disliked_UI = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    relations = relations_of(make_inputs(liked_UI, disliked_UI=disliked_UI), edge_weight_power=1.0, device=CPU)
    user_x, item_x = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
    found = TypedPropagation(relations, num_layers=1, side_weight=0.1)({"user": user_x, "item": item_x})
    liked, disliked = (torch.tensor(normalize_symmetric(sp.csr_array(side)).toarray()) for side in (liked_UI, disliked_UI))
    torch.testing.assert_close(found["user"], (user_x + liked @ item_x - 0.1 * disliked @ item_x) / 2)
    torch.testing.assert_close(found["item"], (item_x + liked.T @ user_x - 0.1 * disliked.T @ user_x) / 2)


def test_hidden_items_neither_get_nor_give_through_behaviour() -> None:
    inputs = awkward_world()
    relations = relations_of(inputs, edge_weight_power=0.0, device=CPU)
    layer = TypedPropagation(relations, num_layers=2, side_weight=0.1)
    generator = torch.Generator().manual_seed(0)
    start = {"user": torch.randn(12, 4, generator=generator), "item": torch.randn(9, 4, generator=generator)}
    shown = torch.ones(9, 1)
    shown[[0, 3]] = 0.0
    hidden = layer(start, shown=shown)
    torch.testing.assert_close(hidden["item"][[0, 3]], start["item"][[0, 3]] / 3)
    other_start = {"user": start["user"], "item": start["item"].clone()}
    other_start["item"][[0, 3]] += 10.0
    torch.testing.assert_close(layer(other_start, shown=shown)["user"], hidden["user"])
    assert not torch.allclose(layer(other_start)["user"], layer(start)["user"])


def test_permuting_nodes_permutes_propagated_vectors() -> None:
    inputs = awkward_world()
    order = np.random.default_rng(0).permutation(12)
    moved = make_inputs(
        inputs.positives_UI.toarray()[order],
        disliked_UI=((inputs.seen_UI.toarray() > 0) & (inputs.positives_UI.toarray() == 0))[order] * 1.0,
        text_ID=inputs.text_ID,
    )
    generator = torch.Generator().manual_seed(0)
    user_x, item_x = torch.randn(12, 4, generator=generator), torch.randn(9, 4, generator=generator)
    found, found_moved = (
        TypedPropagation(relations_of(world, edge_weight_power=0.5, device=CPU), num_layers=2, side_weight=0.1)(start)
        for world, start in ((inputs, {"user": user_x, "item": item_x}), (moved, {"user": user_x[order], "item": item_x}))
    )
    torch.testing.assert_close(found_moved["user"], found["user"][order])
    torch.testing.assert_close(found_moved["item"], found["item"])


def test_spectral_vectors_rebuild_a_matrix_of_low_rank() -> None:
    inputs, _ = two_tastes()
    users_UD, items_ID = spectral_vectors(inputs.positives_UI, embedding_size=16, rng=np.random.default_rng(0))
    rebuilt, normalized = users_UD @ items_ID.T, normalize_symmetric(inputs.positives_UI).toarray()
    scale = (rebuilt * normalized).sum() / (rebuilt**2).sum()
    np.testing.assert_allclose(scale * rebuilt, normalized, atol=1e-5)
    again_UD, _ = spectral_vectors(inputs.positives_UI, embedding_size=16, rng=np.random.default_rng(0))
    assert users_UD.tobytes() == again_UD.tobytes()


def test_spectral_vectors_of_nodes_without_likes_are_zero() -> None:
    inputs = awkward_world()
    users_UD, items_ID = spectral_vectors(inputs.positives_UI, embedding_size=4, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(users_UD.any(axis=1), np.diff(inputs.positives_UI.indptr) > 0)
    np.testing.assert_array_equal(items_ID.any(axis=1), inputs.positives_UI.toarray().any(axis=0))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 2)])
def test_no_likes_give_zero_vectors(shape: tuple[int, int]) -> None:
    users_UD, items_ID = spectral_vectors(sp.csr_array(shape, dtype=np.float32), embedding_size=5, rng=np.random.default_rng(0))
    assert users_UD.shape == (shape[0], 5)
    assert items_ID.shape == (shape[1], 5)
    assert not users_UD.any()
    assert not items_ID.any()


def test_text_projection_finds_a_linear_map_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    text_IF, map_FD = rng.normal(size=(4000, 6)).astype(np.float32), rng.normal(size=(6, 3))
    found_FD = text_projection(text_IF, (text_IF @ map_FD).astype(np.float32), known_I=np.arange(4000) < 3900)
    np.testing.assert_allclose(found_FD, map_FD, rtol=0.01, atol=0.01)


def test_centering_leaves_items_without_text_alone() -> None:
    text_IF = np.array([[1.0, 0], [0, 1.0], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(centered(text_IF), [[0.5, -0.5], [-0.5, 0.5], [0, 0]])
    assert centered(np.zeros((2, 0), dtype=np.float32)).shape == (2, 0)


def test_the_sampled_loss_tends_to_the_full_softmax_with_a_popularity_prior() -> None:
    """With many negatives drawn by share, loss and gradient are those of softmax(cosine / T + log share) over all items."""
    generator = torch.Generator().manual_seed(0)
    num_items, temperature = 12, 0.5
    share_I = torch.rand(num_items, generator=generator) + 0.1
    share_I /= share_I.sum()
    user_BD = torch.nn.functional.normalize(torch.randn(6, 3, generator=generator), dim=1).requires_grad_()
    item_ID = torch.nn.functional.normalize(torch.randn(num_items, 3, generator=generator), dim=1)
    liked_B = torch.tensor([0, 3, 3, 7, 11, 5])
    weight_B = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 0.0])
    negative_N = torch.multinomial(share_I.double(), 400_000, replacement=True, generator=generator)
    sampled = sampled_softmax_loss(
        user_BD,
        item_ID[liked_B],
        item_ID[negative_N],
        hits_BN=liked_B[:, None] == negative_N[None, :],
        log_share_B=torch.log(share_I[liked_B]),
        weight_B=weight_B,
        temperature=temperature,
    )
    logits_BI = user_BD @ item_ID.T / temperature + torch.log(share_I)
    full = (weight_B * torch.nn.functional.cross_entropy(logits_BI, liked_B, reduction="none")).mean()
    assert sampled.item() == pytest.approx(full.item(), rel=0.01)
    sampled_gradient, full_gradient = (torch.autograd.grad(loss, user_BD)[0] for loss in (sampled, full))
    torch.testing.assert_close(sampled_gradient, full_gradient, rtol=0.03, atol=0.005)


def test_a_loss_whose_negatives_are_all_the_liked_item_has_a_finite_gradient() -> None:
    vectors = torch.ones(1, 2, requires_grad=True)
    one = torch.ones(1)
    loss = sampled_softmax_loss(
        vectors, vectors, vectors, hits_BN=torch.ones(1, 1, dtype=torch.bool), log_share_B=0 * one, weight_B=one, temperature=0.1
    )
    (gradient,) = torch.autograd.grad(loss, vectors)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(gradient).all()


def test_batches_hold_every_like_once() -> None:
    learned = likes_to_learn(awkward_world(), weight_power=0.5)
    assert learned.weight_E.mean().item() == pytest.approx(1.0, abs=1e-5)
    seen = [
        pair
        for batch in batches(learned, batch_size=7, generator=torch.Generator().manual_seed(0))
        for pair in zip(batch.user_E.tolist(), batch.item_E.tolist(), strict=True)
    ]
    users, items = awkward_world().positives_UI.nonzero()
    assert sorted(seen) == sorted(zip(users.tolist(), items.tolist(), strict=True))
    assert seen != sorted(seen)


def test_negatives_come_as_often_as_items_are_liked_and_never_new() -> None:
    learned = likes_to_learn(make_inputs(np.array([[1.0, 9.0, 0, 0], [1.0, 0, 0, 1.0]])), weight_power=1.0)
    drawn = sample_negatives(learned, num_negatives=40_000, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(np.bincount(drawn.numpy(), minlength=4) / 40_000, [0.5, 0.25, 0.0, 0.25], atol=0.02)


def test_rows_are_picked_and_their_gradient_sums_repeats() -> None:
    matrix = torch.arange(6.0).reshape(3, 2).requires_grad_()
    picked = rows(matrix, torch.tensor([2, 0, 2]))
    assert picked.tolist() == [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
    (gradient,) = torch.autograd.grad(picked.sum(), matrix)
    assert gradient.tolist() == [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]


def test_validation_ndcg_by_hand() -> None:
    """User 0 likes 1 and 3 and has met 0; user 1 has nothing new; user 2 likes item 2, ranked last of three."""
    relevant_UI = sp.csr_array(np.array([[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]))
    seen_UI = sp.csr_array(np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]]))
    validation = Validation.prepare(relevant_UI, seen_UI=seen_UI, rng=np.random.default_rng(0))
    scores_UI = np.array([[9, 3, 2, 1], [0, 0, 0, 0], [3, 2, 1, 9]], dtype=np.float32)
    discount = 1 / np.log2(np.arange(2, 12))
    expected = [(discount[0] + discount[2]) / (discount[0] + discount[1]), discount[2]]
    np.testing.assert_allclose(validation.ndcg(lambda users: scores_UI[users]), expected)
    assert len(validation) == 2


def test_a_part_of_the_validation_users_knows_their_new_likes_only() -> None:
    relevant_UI = sp.csr_array(np.array([[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0]]))
    whole = Validation.prepare(relevant_UI, seen_UI=sp.csr_array((3, 4)), rng=np.random.default_rng(0))
    part = whole.of(np.array([0, 2]))
    assert part.relevant_UI.toarray().tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert np.diff(part.relevant_UI.indptr).tolist() == [2, 0, 1]
    scores_UI = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(part.ndcg(lambda users: scores_UI[users]), whole.ndcg(lambda users: scores_UI[users])[[0, 2]])


def test_a_setting_must_win_beyond_its_standard_error() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, 50))
    figures = {1.0: noise[0], 2.0: noise[0] + 0.01 * noise[1], 3.0: noise[0] + 0.5 + 0.1 * noise[2], 4.0: noise[0] + 0.2}
    assert choose(figures.__getitem__, usual=1.0, others=(2.0,)) == 1.0
    assert choose(figures.__getitem__, usual=1.0, others=(2.0, 4.0)) == 4.0
    assert choose(figures.__getitem__, usual=1.0, others=(2.0, 3.0, 4.0)) == 3.0
    assert choose(lambda setting: np.array([setting]), usual=1.0, others=(2.0,)) == 1.0, "one user proves nothing"


def test_the_best_epoch_is_the_first_of_the_best_or_the_last_unmeasured() -> None:
    assert best_epoch((Epoch(1, 3.0, 0.1), Epoch(2, 2.0, 0.3), Epoch(3, 1.0, 0.3))) == 2
    assert best_epoch((Epoch(1, 3.0, None), Epoch(2, 2.0, None))) == 2
    assert best_epoch(()) == 0


def friends_inputs(pairs: list[tuple[int, int]]) -> ModelInputs:
    inputs = make_inputs(np.eye(3, dtype=np.float32))
    ends = np.array(pairs, dtype=np.int64)
    friends = Edges(ends[:, 0], ends[:, 1], np.ones(len(ends), dtype=np.float32))
    return replace(inputs, graph=InterestGraph(inputs.graph.vocabularies, inputs.graph.edges | {FRIEND: friends}))


def test_which_direction_of_a_symmetric_relation_is_stored_does_not_matter() -> None:
    def friends(pairs: list[tuple[int, int]]) -> list[np.ndarray]:
        found = relations_of(friends_inputs(pairs), edge_weight_power=1.0, device=CPU)
        return [relation.adjacency_TS.to_dense().numpy() for relation in found if relation.name == "friend"]

    (one,), (other,) = friends([(0, 1), (0, 2)]), friends([(1, 0), (0, 2)])
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, one.T)
    assert one[0, 1] == pytest.approx(1 / np.sqrt(2))


def test_excluded_relations_carry_no_messages() -> None:
    inputs = friends_inputs([(0, 1)])
    names = [relation.name for relation in relations_of(inputs, edge_weight_power=1.0, device=CPU)]
    left = [relation.name for relation in relations_of(inputs, edge_weight_power=1.0, device=CPU, excluded=("friend",))]
    assert "friend" in names
    assert left == [name for name in names if name != "friend"]

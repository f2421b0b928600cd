"""A fitted hybrid's reasons are true, by deleting their edges the slow way; a false one that is planted is not told, and caught."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.explanations import Audit, Told, ablation_of, best_items, edges_exist, reasons_of
from ml.config.pipeline import HybridConfig, ModelConfig
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import Vocabulary
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.ranking.attribution import Attributor, Reason
from tests.ml.models.worlds import make_inputs, two_tastes, with_interests

GNN = ModelConfig(embedding_size=8, epochs=5, batch_size=64, num_negatives=16, device="cpu")
POOL = HybridConfig(models=("interest_gnn", "item_knn", "ease", "popularity"))
# User 0 likes one item of the other taste, and a maker joins it to what they have not met; the model learns from both.
STRAY, WITHHELD, USER = 1, 0, 0


@pytest.fixture(scope="module")
def world() -> ModelInputs:
    tastes, withheld_U = two_tastes()
    assert withheld_U[USER] == WITHHELD
    liked_UI = tastes.positives_UI.toarray()
    liked_UI[USER, STRAY] = 1.0
    inputs = with_interests(make_inputs(liked_UI, text_ID=tastes.text_ID), {"茶": range(0, 16, 2), "杯": range(1, 16, 2)})
    entities, made_by = Vocabulary("entity", ["maker"]), EdgeType("item", "made_by", "entity")
    both = Edges(np.array([WITHHELD, STRAY]), np.array([0, 0]), np.ones(2, dtype=np.float32))
    graph = InterestGraph(inputs.graph.vocabularies | {"entity": entities}, inputs.graph.edges | {made_by: both})
    return replace(inputs, graph=graph)


@pytest.fixture(scope="module")
def model(world) -> Hybrid:
    return Hybrid.of(POOL, model=GNN).fit(world, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def attributor(world, make_names) -> Attributor:
    return Attributor(world.graph, items=world.items, names=make_names(), language="en")


@pytest.fixture(scope="module")
def audit(model, world) -> Audit:
    return Audit(model, world)


def label(world: ModelInputs, item: int) -> str:
    return f"item:{world.items.ids[item].as_py()}"


def test_every_reason_has_edges_that_exist_and_is_worth_its_share(model, world, attributor, audit) -> None:
    told = [one for user in (0, 1, 5) for one in reasons_of(attributor, model, world, user=user, k=2)]
    with_path = [one for one in told if one.reason.path]
    assert len({one.reason.kind for one in with_path}) >= 2
    for one in with_path:
        verdict = audit.judge(one)
        assert verdict.exists
        assert verdict.loss > 0


def test_the_share_of_a_like_is_what_folding_in_without_it_loses(model, world, attributor) -> None:
    for one in reasons_of(attributor, model, world, user=USER, k=2):
        if one.reason.kind not in {"about", "others", "entity"}:
            continue
        asked_for = ablation_of(model, world, user=USER)
        liked = [label(world, item) for item in asked_for.liked_L]
        kept = np.array([liked_item != one.reason.path[2] for liked_item in liked])
        scores = asked_for(np.stack([np.ones_like(kept), kept]), np.array([one.item]))[:, 0]
        assert one.reason.share == pytest.approx(float(scores[0] - scores[1]), abs=1e-6)


def test_a_false_reason_that_is_planted_is_not_told_and_the_audit_catches_it(model, world, attributor, audit) -> None:
    """The maker joins the stray like to the item; the edges exist, yet without them the item scores no lower."""
    assert WITHHELD in best_items(ablation_of(model, world, user=USER), num_items=len(world.items), k=2)
    told = [one for one in reasons_of(attributor, model, world, user=USER, k=2) if one.item == WITHHELD]
    assert told
    assert all(label(world, STRAY) not in one.reason.path for one in told)
    user = f"user:{world.users.ids[USER].as_py()}"
    stray = (user, "interacted", label(world, STRAY), "made_by", "entity:maker", "made_by", label(world, WITHHELD))
    planted = audit.judge(Told(USER, WITHHELD, Reason("entity", stray, 0.1, "")))
    assert planted.exists
    assert planted.loss <= 0


def test_an_edge_that_is_made_up_is_caught(world) -> None:
    user = f"user:{world.users.ids[USER].as_py()}"
    assert edges_exist(world, (user, "interacted", label(world, 2), "about", "interest:茶", "about", label(world, 0)))
    assert not edges_exist(world, (user, "interacted", label(world, 3), "about", "interest:杯", "about", label(world, 1)))
    assert not edges_exist(world, (user, "interacted", label(world, 2), "about", "interest:杯", "about", label(world, 1)))
    assert not edges_exist(world, ())


def test_a_user_without_likes_is_told_what_is_popular(model, world, attributor) -> None:
    nobody = replace(world, positives_UI=world.positives_UI * 0, age_UI=None)
    nobody.positives_UI.eliminate_zeros()
    for one in reasons_of(attributor, model, nobody, user=USER, k=2):
        assert (one.reason.kind, one.reason.path) == ("popular", ())

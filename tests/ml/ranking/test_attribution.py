"""Reasons with their share: literal paths, shares and words over scores that are known; a fitted hybrid is `test_true_reasons`'s."""

from dataclasses import dataclass

import numpy as np
import pytest

from ml.config.pipeline import ExplanationConfig
from ml.ids import Vocabulary
from ml.ranking.attribution import Attributor, Reason
from ml.ranking.paths import path_exists

ITEMS = ["boot", "jacket", "tent", "lamp", "rug", "stove"]
TITLES = {"boot": "Trail boot", "jacket": "Rain jacket", "tent": "Tent", "lamp": "Lamp", "rug": "Rug", "stove": "炉子"}
NAMES = {"item": TITLES, "interest": {"hiking": "hiking", "camping": "camping"}, "entity": {"acme": "Acme"}}
WORLD = [
    ("user:me", "interacted", "item:boot"),
    ("user:me", "interacted", "item:jacket"),
    ("user:me", "has_interest", "interest:hiking"),
    ("item:boot", "about", "interest:hiking"),
    ("item:jacket", "about", "interest:hiking"),
    ("item:tent", "about", "interest:hiking", 0.5),
    ("item:tent", "about", "interest:camping", 0.5),
    ("item:boot", "made_by", "entity:acme"),
    ("item:stove", "made_by", "entity:acme"),
    ("item:jacket", "goes_with", "item:stove"),
    ("user:u2", "interacted", "item:boot"),
    ("user:u2", "interacted", "item:lamp"),
    ("user:u3", "interacted", "item:boot"),
    ("user:u3", "interacted", "item:lamp"),
]


@dataclass
class Linear:
    """Scores that are sums over likes, so that every share is known."""

    worth: dict[tuple[str, str], float]
    liked: tuple[str, ...] = ("boot", "jacket")
    weights: tuple[float, ...] | None = None
    num_asked: int = 0

    @property
    def liked_L(self):
        return np.sort([ITEM.positions([name])[0] for name in self.liked])

    @property
    def weight_L(self):
        return np.ones(len(self.liked), dtype=np.float32) if self.weights is None else np.array(self.weights, dtype=np.float32)

    def __call__(self, kept_BL, item_K):
        self.num_asked += 1
        names = ITEM.ids.to_pylist()
        table = [[self.worth.get((names[liked], names[item]), 0.0) for item in item_K] for liked in self.liked_L]
        return (kept_BL.astype(np.float32) @ np.array(table, dtype=np.float32).reshape(len(self.liked_L), len(item_K))).astype(np.float32)


ITEM = Vocabulary("item", ITEMS)


@pytest.fixture
def make(make_graph, make_names):
    def build(edges=WORLD, *, language="en", items=ITEM, **config) -> Attributor:
        graph = make_graph(edges, nodes=[f"item:{item}" for item in ITEMS])
        return Attributor(graph, items=items, names=make_names(**NAMES), language=language, config=ExplanationConfig(**config))

    return build


def ask(attributor: Attributor, worth, *items: str, user="me", **options) -> list[tuple[Reason, ...]]:
    return attributor.explain(Linear(worth, **options), item_K=ITEM.positions(list(items)), user_id=user)


def test_an_interest_is_worth_all_likes_behind_it_and_a_like_its_own(make) -> None:
    (found,) = ask(make(), {("boot", "tent"): 0.3, ("jacket", "tent"): 0.2}, "tent")
    assert [one.share for one in found] == pytest.approx([0.5])
    assert found[0].path == ("user:me", "has_interest", "interest:hiking", "about", "item:tent")
    assert found[0].text == 'Because you like hiking (as in "Trail boot"), and this item is about hiking'
    assert found[0].names == ("hiking", "Trail boot", "Tent")


def test_likes_of_a_session_are_nobodys(make) -> None:
    (found,) = ask(make(), {("boot", "tent"): 0.3, ("jacket", "tent"): 0.2}, "tent", user="")
    assert all(one.path[0] == "session" for one in found)


def test_a_like_leads_on_by_what_both_items_are_about(make) -> None:
    edges = [edge for edge in WORLD if edge[1] != "has_interest"]
    (found,) = ask(make(edges), {("boot", "tent"): 0.3, ("jacket", "tent"): 0.2}, "tent")
    # The second goes through the same interest, which is told once.
    assert [(one.kind, one.share, one.text) for one in found] == [
        ("about", pytest.approx(0.3), 'Because you liked "Trail boot": both are about hiking')
    ]
    assert found[0].path == ("user:me", "interacted", "item:boot", "about", "interest:hiking", "about", "item:tent")


def test_facts_links_and_other_people_lead_on(make) -> None:
    worth = {("boot", "stove"): 0.1, ("jacket", "stove"): 0.4, ("boot", "lamp"): 0.2}
    stove, lamp = ask(make(), worth, "stove", "lamp")
    assert [(one.kind, one.path[2:], one.share) for one in stove] == [
        ("link", ("item:jacket", "goes_with", "item:stove"), pytest.approx(0.4)),
        ("entity", ("item:boot", "made_by", "entity:acme", "made_by", "item:stove"), pytest.approx(0.1)),
    ]
    assert [one.text for one in stove] == [
        'Because you liked "Rain jacket", which is linked to this item (goes with)',
        'Because you liked "Trail boot": same made by, Acme',
    ]
    assert lamp == (
        Reason(
            "others",
            ("user:me", "interacted", "item:boot", "interacted", "user:u2", "interacted", "item:lamp"),
            pytest.approx(0.2),
            'Liked by 2 of the people who liked "Trail boot", as you did',
            ("Trail boot", "Lamp"),
        ),
    )


def test_words_follow_the_item_in_chinese(make) -> None:
    ((found,),) = ask(make(language="auto"), {("jacket", "stove"): 0.4}, "stove")
    assert found.text == "因为你喜欢“Rain jacket”，它与此相关（goes with）"
    ((found,),) = ask(make(language="zh"), {}, "rug")
    assert found.text == "新品：还没有人喜欢过"


def test_a_path_whose_deletion_does_not_lower_the_score_is_not_told(make) -> None:
    """Edges exist from both likes to the stove; only one of them does anything for it."""
    (found,) = ask(make(), {("boot", "stove"): -0.2, ("jacket", "stove"): 0.4}, "stove")
    assert [one.path[2] for one in found] == ["item:jacket"]


def test_a_like_worth_something_without_a_path_is_not_told_either(make) -> None:
    ((found,),) = ask(make(), {("boot", "rug"): 0.9}, "rug")
    assert (found.kind, found.path, found.share) == ("new", (), 0.0)


def test_without_a_true_path_the_honest_rung_is_told(make) -> None:
    ((lamp,), (rug,)) = ask(make(), {}, "lamp", "rug")
    assert lamp == Reason("popular", (), 0.0, "Popular: liked by 2 so far")
    assert rug == Reason("new", (), 0.0, "New here: nobody has liked it yet")


def test_rounding_is_no_reason(make) -> None:
    ((found,),) = ask(make(min_share=1e-4), {("jacket", "stove"): 5e-5}, "stove")
    assert found.kind == "popular" or found.kind == "new"


def test_the_asking_user_is_not_their_own_other(make) -> None:
    edges = [*WORLD, ("user:me", "interacted", "item:rug")]
    ((found,),) = ask(make(edges), {("boot", "rug"): 0.5}, "rug")
    assert found.kind == "popular"


def test_a_user_that_the_graph_lacks_has_likes_all_the_same(make) -> None:
    for user in ("nobody", "aaa", "zzz"):
        (found,) = ask(make(), {("boot", "tent"): 0.3, ("jacket", "tent"): 0.2}, "tent", user=user)
        assert [one.kind for one in found] == ["about"]
        assert found[0].path[0] == f"user:{user}"


def test_items_are_positions_in_the_release_whatever_the_graph_knows(make) -> None:
    """The release knows an item that the graph lacks and has others at other positions."""
    items = Vocabulary("item", ["aaa", *ITEMS])
    without = Linear({})
    without_all = type("Shifted", (), {"liked_L": without.liked_L + 1, "weight_L": without.weight_L, "__call__": None})()

    class Shifted:
        liked_L, weight_L = without_all.liked_L, without_all.weight_L

        def __call__(self, kept_BL, item_K):
            return np.repeat(kept_BL.sum(axis=1, keepdims=True), len(item_K), axis=1).astype(np.float32)

    stove, unknown = make(items=items).explain(Shifted(), item_K=items.positions(["stove", "aaa"]), user_id="me")
    assert {one.path[-1] for one in stove} == {"item:stove"}
    assert [one.kind for one in unknown] == ["new"]


def test_reasons_are_few_and_of_the_largest_share(make) -> None:
    edges = [edge for edge in WORLD if edge[1] != "has_interest"]
    worth = {("boot", "stove"): 0.1, ("jacket", "stove"): 0.4}
    assert [one.share for one in ask(make(edges, max_reasons=1), worth, "stove")[0]] == pytest.approx([0.4])


def test_of_many_likes_the_nearest_are_looked_at(make) -> None:
    """The boot is nearer to the lamp than the jacket, by the people who like both."""
    worth = {("boot", "lamp"): 0.2, ("jacket", "lamp"): 0.9}
    (found,) = ask(make(max_likes=1), worth, "lamp")
    assert [one.path[2] for one in found] == ["item:boot"]


def test_scores_are_asked_for_once_whatever_is_explained(make) -> None:
    without = Linear({("boot", "tent"): 0.3})
    make().explain(without, item_K=ITEM.positions(["tent", "lamp", "rug"]), user_id="me")
    assert without.num_asked == 1


def test_no_likes_and_no_items_are_no_error(make) -> None:
    assert ask(make(), {}, "lamp", liked=())[0][0].kind == "popular"
    assert make().explain(Linear({}), item_K=np.zeros(0, dtype=np.int64), user_id="me") == []


def test_every_told_path_is_in_the_graph(make, make_graph) -> None:
    rng = np.random.default_rng(3)
    worth = {(liked, item): float(rng.normal()) for liked in ITEMS for item in ITEMS}
    graph = make_graph(WORLD, nodes=[f"item:{item}" for item in ITEMS])
    found = [one for reasons in ask(make(), worth, *ITEMS[2:]) for one in reasons if one.path]
    assert found
    assert all(path_exists(graph, one.path) for one in found)


def test_what_nearly_all_items_share_is_no_interest_to_tell(make_graph, make_names) -> None:
    """12 items of one language: the fact is true of everything, so it explains nothing."""
    items = [f"i{number:02d}" for number in range(12)]
    edges = [("user:me", "has_interest", "interest:all"), ("user:me", "interacted", "item:i00"), ("user:me", "interacted", "item:i01")]
    edges += [(f"item:{item}", "about", "interest:all") for item in items]
    vocabulary = Vocabulary("item", items)
    attributor = Attributor(make_graph(edges), items=vocabulary, names=make_names(), language="en")

    class All:
        liked_L, weight_L = np.array([0, 1]), np.ones(2, dtype=np.float32)

        def __call__(self, kept_BL, item_K):
            return np.repeat(kept_BL.sum(axis=1, keepdims=True), len(item_K), axis=1).astype(np.float32)

    ((found,),) = attributor.explain(All(), item_K=np.array([5]), user_id="me")
    assert found.kind == "new"

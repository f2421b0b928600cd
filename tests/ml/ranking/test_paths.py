"""path_exists says no as soon as one edge is missing."""

import pytest

from ml.ranking.paths import path_exists

EDGES = [
    ("user:u1", "has_interest", "interest:tag:hiking"),
    ("item:i9", "about", "interest:tag:hiking"),
    ("item:i9", "made_by", "entity:b"),
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["user:u1", "has_interest", "interest:tag:hiking", "about", "item:i9"], True),
        (["item:i9", "about", "interest:tag:hiking", "has_interest", "user:u1"], True),
        (["user:u1", "has_interest", "interest:tag:hiking"], True),
        (["user:u1", "has_interest", "interest:tag:hiking", "about", "item:i8"], False),
        (["user:u2", "has_interest", "interest:tag:hiking", "about", "item:i9"], False),
        (["user:u1", "about", "interest:tag:hiking"], False),
        (["user:u1", "interacted", "item:i9"], False),
        (["user:u1", "has_interest", "interest:tag:hiking", "about"], False),
        (["item:i9", "made_by", "interest:b"], False),
        (["u1", "has_interest", "tag:hiking"], False),
        (["user:u1"], False),
        ([], False),
    ],
)
def test_path_exists(make_graph, path, expected) -> None:
    assert path_exists(make_graph(EDGES), path) is expected

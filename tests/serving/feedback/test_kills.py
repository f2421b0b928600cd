"""kill -9 in the middle: every acknowledged one is in the raw events exactly once after the next ingestion."""

import asyncio

from benchmarks.feedback import kill_appends, kill_server, new_home

SOUND = {"lost": 0, "doubled": 0, "answered otherwise": 0, "kept out": 0}


def test_appends_killed_in_the_middle(tmp_path) -> None:
    found = kill_appends(new_home(tmp_path / "home"), 600)
    assert found.items() >= ({"posts": 600, "acknowledged": 600} | SOUND).items()
    # What the first process acknowledged was sent again to the second, and the rest was new to it.
    assert 300 <= found["answered twice"] < 600


def test_posts_to_a_server_killed_in_the_middle(tmp_path) -> None:
    found = asyncio.run(kill_server(new_home(tmp_path / "home"), 400))
    assert found.items() >= ({"posts": 400, "acknowledged": 400} | SOUND).items()
    assert 200 <= found["answered twice"] < 400

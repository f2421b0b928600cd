"""Names that the encoder cannot read are no synonyms of each other."""

import pyarrow.compute as pc

from ml.contracts import CONTRACTS


def test_no_chinese_tag_swallows_the_others(finished_world) -> None:
    """Under an English encoder unread names had one vector, and one tag had sixty unrelated aliases."""
    points = finished_world.scope().store.read(CONTRACTS["interest_points"], day=finished_world.last)
    is_chinese = pc.match_substring_regex(points.column("name"), r"\p{Han}")
    aliases = points.filter(is_chinese).column("aliases").to_pylist()
    assert len(aliases) > 20
    assert max(map(len, aliases)) <= 3

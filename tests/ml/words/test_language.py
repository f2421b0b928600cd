"""The language of a text is that of its letters, also where both stand in one."""

import pyarrow as pa
import pytest

from ml.words.language import language_shares, languages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A light tent for two.", "en"),
        ("轻便的双人帐篷，防水。", "zh"),
        ("iPhone 15 手机壳 防摔 magnetic case with stand", "mixed"),
        ("这款手机支持 5G 网络，电池续航很好，屏幕清晰，性价比高", "zh"),
        ("The word 茶 means tea and came to Europe with the ships of traders long ago", "en"),
        ("une tente légère", "en"),
        ("12345 !!! 🛶", "other"),
        (None, "other"),
    ],
)
def test_by_row(text, expected) -> None:
    assert languages(pa.array([text], pa.string())).to_pylist() == [expected]


def test_shares_add_up_and_come_largest_first() -> None:
    shares = language_shares(pa.chunked_array([["tea", "cup"], ["茶"], []], pa.string()))
    assert shares == {"en": 2 / 3, "zh": 1 / 3}
    assert language_shares(pa.array([], pa.string())) == {}

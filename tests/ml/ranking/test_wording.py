"""One sentence at a time says what a column of them does."""

from string import Formatter

import pyarrow as pa
import pytest

from ml.ranking.wording import TEMPLATES, fill, sentence


@pytest.mark.parametrize("in_chinese", [False, True])
@pytest.mark.parametrize("value", ["espresso", "露营{}", "long " * 30, "字" * 80, "字" * 81, ""])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_sentence_is_that_of_a_column(name, value, in_chinese) -> None:
    placeholders = [placeholder for _, placeholder, _, _ in Formatter().parse(TEMPLATES[name]["en"]) if placeholder]
    values = {placeholder: f"{number}{value}" for number, placeholder in enumerate(placeholders)}
    columns = {placeholder: pa.array([text], pa.string()) for placeholder, text in values.items()}
    assert [sentence(name, in_chinese=in_chinese, **values)] == fill(name, is_chinese=pa.array([in_chinese]), **columns).to_pylist()

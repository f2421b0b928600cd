"""The sample's words: two languages kept apart, lengths, sentiment that agrees with the stars, spam that repeats itself."""

import re
from collections import Counter
from itertools import combinations

import pandas as pd
import pytest

from examples.shop.lexicon import LANGUAGES, load_lexicon

HAN = re.compile(r"[\u4e00-\u9fff]")


def reviews(sample) -> pd.DataFrame:
    return sample.events[sample.events["kind"] == "review"]


def test_a_third_of_the_catalogue_is_chinese(sample):
    assert 0.28 < (sample.items["language"] == "zh").mean() < 0.39


def test_listings_keep_to_their_language(sample):
    is_chinese = sample.items["language"] == "zh"
    words = sample.items["name"] + sample.items["description"] + sample.items["labels"].str.join(" ")
    assert words[is_chinese].str.contains(HAN).all()
    assert not words[~is_chinese].str.contains(HAN).any()
    assert words[is_chinese].str.count(r"[A-Za-z]").max() <= 4  # "A 面" of a record


def test_both_languages_share_themes(sample):
    themes = pd.read_csv(sample.directory / "truth" / "item_themes.csv").merge(sample.items, left_on="item_id", right_on="sku")
    by_language = themes.groupby("theme")["language"].nunique()
    assert (by_language == 2).all()


def test_descriptions_are_sentences_of_decent_length(sample):
    english = sample.items[sample.items["language"] == "en"]["description"]
    assert english.str.split().str.len().between(15, 50).all()
    assert english.str.match(r"^[A-Z].*[.?!]$").all()
    chinese = sample.items[sample.items["language"] == "zh"]["description"]
    assert chinese.str.len().between(25, 120).all()
    assert chinese.str.endswith("。").all()
    assert not sample.items["description"].str.contains(r"[{}]").any()


def test_titles_tell_items_apart(sample):
    assert sample.items["name"].is_unique
    assert sample.items["description"].nunique() > 0.95 * len(sample.items)


def test_attributes_are_complete_and_join_the_knowledge(sample):
    triples = pd.read_csv(sample.directory / "catalogue" / "knowledge.csv")
    made_in = triples[triples["relation"] == "made_in"].set_index("head")["tail"]
    for attributes in sample.items["attributes"]:
        assert set(attributes) == {"brand", "material", "colour", "price_band", "origin"}
        assert made_in[attributes["brand"]] == attributes["origin"]
    styled = triples[triples["relation"] == "has_style"]
    assert set(styled["head"]) == set(sample.items["sku"])
    assert set(made_in) == set(triples[triples["relation"] == "located_in"]["head"])


def test_reviews_are_short(sample):
    honest = reviews(sample)[~reviews(sample)["user_id"].isin(sample.truth.spam_users)]["text"]
    is_chinese = honest.str.contains(HAN)
    assert 0.25 < is_chinese.mean() < 0.5
    assert honest[~is_chinese].str.split().str.len().between(8, 40).all()
    assert honest[is_chinese].str.len().between(12, 70).all()


def test_searches_are_a_few_words_without_an_item(sample):
    searches = sample.events[sample.events["kind"] == "search"]
    assert searches["item_id"].isna().all()
    assert searches["text"].str.split().str.len().max() <= 10
    assert searches["text"].str.contains(HAN).mean() > 0.2


@pytest.mark.parametrize(("bank", "wrong_stars"), [("praise", (1, 2)), ("complaint", (4, 5))])
def test_words_agree_with_stars(sample, bank, wrong_stars):
    phrases = load_lexicon().phrases[bank]
    sentences = [sentence for language in LANGUAGES for aspect in phrases[language].values() for sentence in aspect]
    says_it = reviews(sample)["text"].map(lambda text: any(sentence in text for sentence in sentences))
    stars = reviews(sample)["stars"]
    assert not says_it[stars.isin(wrong_stars)].any()
    honest = ~reviews(sample)["user_id"].isin(sample.truth.spam_users)
    assert says_it[~stars.isin(wrong_stars) & honest].all()


def test_spam_repeats_itself_and_honest_people_hardly_do(sample):
    is_spam = reviews(sample)["user_id"].isin(sample.truth.spam_users)
    honest = reviews(sample)[~is_spam]["text"]
    assert honest.nunique() > 0.9 * len(honest)
    paid = reviews(sample)[is_spam]
    for _, texts in paid.groupby(paid["text"].str.contains(HAN))["text"]:
        words = [set(re.findall(r"\w|\S", text)) if HAN.search(text) else set(text.split()) for text in texts]
        overlap = [len(one & other) / len(one | other) for one, other in combinations(words, 2)]
        assert min(overlap, default=1.0) > 0.7


def test_every_theme_speaks_both_languages_and_means_its_keywords():
    lexicon = load_lexicon()
    names = {theme.name for theme in lexicon.themes}
    assert 30 <= len(names) <= 40
    for theme in lexicon.themes:
        assert set(theme.companions) <= names - {theme.name}
        for language in LANGUAGES:
            texts = [*theme.scenes[language], *theme.moments[language], *theme.searches[language], *theme.tags[language]]
            assert all(HAN.search(text) for text in texts) == (language == "zh"), theme.name
            for keyword in theme.keywords[language]:
                assert any(keyword in text.lower() for text in texts), (theme.name, keyword)


def test_tags_name_one_theme_only():
    tags = Counter(tag.casefold() for theme in load_lexicon().themes for language in LANGUAGES for tag in theme.tags[language])
    assert max(tags.values()) == 1


def test_every_theme_leads_a_product_and_every_department_has_brands_of_all_styles():
    lexicon = load_lexicon()
    assert {product.themes[0] for product in lexicon.products} == {theme.name for theme in lexicon.themes}
    for department in {category.department for category in lexicon.categories}:
        assert {brand.style for brand in lexicon.brands if department in brand.departments} == set(range(len(lexicon.styles)))
    assert {brand.country for brand in lexicon.brands} == set(lexicon.countries)

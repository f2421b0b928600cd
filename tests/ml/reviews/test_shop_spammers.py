"""The sample world's planted spammers: their texts, bursts and company give them away, honest users stay believed."""

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from examples.shop.simulate import SampleSettings, write_sample
from examples.shop.truth import read_truth
from ml.config.pipeline import ReviewConfig
from ml.contracts.behaviour import INTERACTIONS, REVIEWS
from ml.reviews.signals import ReviewSignals, in_order, judge_reviews

SETTINGS = SampleSettings(num_users=500, num_items=300, num_days=40)
AS_OF = datetime.combine(SETTINGS.last_day, datetime.min.time(), tzinfo=UTC) + timedelta(days=1)


def marts(folder) -> tuple[pa.Table, pa.Table]:
    """The two marts from the sample's reviews and ratings, as the dataset file weighs them."""
    feedback = f"read_json_auto('{folder}/feedback/*.jsonl.gz', union_by_name=true)"
    source = f"""
        select row_number() over ()::varchar as event_id, customer as user_id, sku as item_id, body as text,
            try_cast(stars as double) as value,
            2 * (try_cast(stars as double) - 3) as weight, try_cast(posted_at as timestamptz) as event_at
        from {feedback}
        where try_cast(stars as double) between 1 and 5 and try_cast(posted_at as timestamptz) is not null
    """
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    known = f"select *, cast(event_at as date) as day from ({source}) where user_id is not null and item_id is not null"
    events = connection.execute(known).to_arrow_table()
    events = events.filter(pc.less(events.column("event_at"), pa.scalar(AS_OF, events.schema.field("event_at").type)))
    reviews = events.filter(pc.and_(pc.is_valid(events.column("text")), pc.not_equal(events.column("text"), "")))
    grouped = events.group_by(["user_id", "item_id", "day"]).aggregate(
        [("weight", "sum"), ([], "count_all"), ("event_at", "min"), ("event_at", "max")]
    )
    names = {"weight_sum": "weight", "count_all": "num_events", "event_at_min": "first_event_at", "event_at_max": "last_event_at"}
    return REVIEWS.conform(reviews), INTERACTIONS.conform(grouped.rename_columns([names.get(name, name) for name in grouped.column_names]))


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[ReviewSignals, frozenset[str]]:
    dataset_file = write_sample(tmp_path_factory.mktemp("shop"), settings=SETTINGS)
    reviews, interactions = marts(dataset_file.parent)
    known = in_order(reviews, as_of=AS_OF)
    # No encoder: words and behaviour must do.
    nothing = np.zeros((known.num_rows, 1), dtype=np.float32)
    found = judge_reviews(known, vectors_RD=nothing, interactions=interactions, language="auto", config=ReviewConfig(), as_of=AS_OF)
    return found, read_truth(dataset_file.parent).spam_users


def test_spammers_are_not_believed_and_honest_users_are(judged) -> None:
    found, spammers = judged
    is_spam = np.asarray(pc.is_in(found.reviewers.column("user_id"), value_set=pa.array(sorted(spammers))))
    credibility = found.reviewers.column("credibility").to_numpy()
    assert is_spam.sum() >= 2
    assert credibility[is_spam].max() < 0.2
    assert np.median(credibility[~is_spam]) > 0.99
    assert np.quantile(credibility[~is_spam], 0.05) > 0.5


def test_the_reasons_name_what_was_planted(judged) -> None:
    found, spammers = judged
    for row in found.reviewers.to_pylist():
        if row["user_id"] in spammers:
            assert {reason.split()[0] for reason in row["reasons"]} & {"originality", "independence", "calm"}


def test_sentiment_follows_the_words(judged) -> None:
    found, spammers = judged
    rows = [row for row in found.reviews.to_pylist() if abs(row["weight"]) == 4 and row["user_id"] not in spammers]
    assert np.mean([(row["sentiment"] > 0) == (row["weight"] > 0) for row in rows]) > 0.95

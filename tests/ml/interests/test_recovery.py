"""Do the simulated interests come back? Asked of a small bundled sample, whose truth is known."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from examples.shop.simulate import SampleSettings, write_sample
from examples.shop.truth import Truth, interest_auc, read_truth
from ml.config.pipeline import InterestConfig
from ml.contracts.behaviour import INTERACTIONS, ITEMS
from ml.contracts.meaning import TEXT_INTERESTS
from ml.interests.points import find_interests
from ml.interests.profiles import weigh_user_interests
from tests.ml.interests.catalogues import embed

SETTINGS = SampleSettings(num_users=300, num_items=400, seed=3)
LAST_BEFORE_SHIFT = SETTINGS.first_day + timedelta(days=SETTINGS.shift_day - 1)

ITEMS_SQL = """
select
    $day as day, sku as item_id, name as title, description as text, department || ' > ' || shelf as category, labels as tags,
    null as text_known_at, null as attributes, null as created_at, true as is_catalogued
from read_json($files)
qualify row_number() over (partition by sku order by listed_at desc) = 1
"""

INTERACTIONS_SQL = """
with events as (
    select customer as user_id, sku as item_id, action as kind, try_cast(occurred_at as timestamptz) as event_at, null as stars
    from read_csv($actions, all_varchar = true, ignore_errors = true)
    union all
    select customer, sku, kind, try_cast(posted_at as timestamptz), try_cast(stars as double)
    from read_json(
        $feedback,
        ignore_errors = true,
        columns = {customer: 'varchar', sku: 'varchar', kind: 'varchar', posted_at: 'varchar', stars: 'varchar'}
    )
),
weighed as (
    select *, case kind when 'view' then 1 when 'cart' then 2 when 'purchase' then 4 else 2 * (stars - 3) end as weight
    from events
    where event_at < $as_of and user_id <> '' and item_id <> ''
)
select
    event_at::date as day, user_id, item_id, sum(weight) as weight, count(*) as num_events,
    min(event_at) as first_event_at, max(event_at) as last_event_at
from weighed where weight is not null group by all
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample"), settings=SETTINGS).parent


@pytest.fixture(scope="module")
def items(sample: Path) -> pa.Table:
    return _read(ITEMS_SQL, ITEMS.schema, day=SETTINGS.last_day, files=str(sample / "catalogue/items.jsonl"))


def _read(query: str, schema: pa.Schema, **parameters: object) -> pa.Table:
    with duckdb.connect(":memory:") as connection:
        connection.execute("set timezone = 'UTC'")
        table = connection.sql(query, params=parameters).to_arrow_table()
    return table.select(schema.names).cast(schema)


def _found(sample: Path, items: pa.Table, *, last_day: date, config: InterestConfig) -> tuple[pa.Table, Truth, np.ndarray]:
    """User interests as known at the end of `last_day`, the truth, and the found scores by user and theme."""
    as_of = datetime.combine(last_day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    files = {"actions": str(sample / "events/*.csv.gz"), "feedback": str(sample / "feedback/*.jsonl.gz")}
    interactions = _read(INTERACTIONS_SQL, INTERACTIONS.schema, as_of=as_of, **files)
    points, item_interests = find_interests(items, item_embeddings=embed(items), config=config, language="auto")
    found = weigh_user_interests(
        interactions, item_interests=item_interests, text_interests=TEXT_INTERESTS.empty(), config=config, as_of=as_of
    )
    names = points.column("name").take(pc.index_in(found.column("interest_id"), value_set=points.column("interest_id").combine_chunks()))
    truth = read_truth(sample)
    columns = (found.column("user_id"), names, found.column("weight"))
    return found, truth, truth.theme_scores(*(column.to_pylist() for column in columns))


def test_simulated_interests_come_back(sample: Path, items: pa.Table) -> None:
    found, truth, scores_UT = _found(sample, items, last_day=LAST_BEFORE_SHIFT, config=InterestConfig())
    active = _users_with(found, num_items=5)
    assert len(active) > 200
    assert interest_auc(truth, scores_UT, day=LAST_BEFORE_SHIFT, users=active) >= 0.9
    assert interest_auc(truth, scores_UT, day=LAST_BEFORE_SHIFT) >= 0.85


def test_chance_finds_nothing(sample: Path, items: pa.Table) -> None:
    _, truth, scores_UT = _found(sample, items, last_day=LAST_BEFORE_SHIFT, config=InterestConfig())
    others_UT = np.random.default_rng(0).permutation(scores_UT)
    assert interest_auc(truth, others_UT, day=LAST_BEFORE_SHIFT) == pytest.approx(0.5, abs=0.07)


def test_words_alone_find_interests_too(sample: Path, items: pa.Table) -> None:
    """Without a tag or category, the texts' own phrases still tell who likes what."""
    config = InterestConfig(tag_weight=0.0, category_weight=0.0, keyphrase_weight=1.0, max_per_user=200)
    _, truth, scores_UT = _found(sample, items, last_day=LAST_BEFORE_SHIFT, config=config)
    assert interest_auc(truth, scores_UT, day=LAST_BEFORE_SHIFT) >= 0.6


def test_a_shorter_half_life_follows_the_shift(sample: Path, items: pa.Table) -> None:
    """After the shift, what shifted users newly like weighs more in a profile that forgets faster."""
    gains = []
    for half_life_days in (3.0, 300.0):
        _, truth, scores_UT = _found(
            sample, items, last_day=SETTINGS.last_day, config=InterestConfig(half_life_days=half_life_days, max_per_user=200)
        )
        shifted = np.array([user in truth.shifted_users for user in truth.user_ids])
        gained_UT = (truth.shifted_UT > truth.interests_UT) & shifted[:, None]
        lost_UT = (truth.shifted_UT < truth.interests_UT) & shifted[:, None]
        gains.append(scores_UT[gained_UT].mean() - scores_UT[lost_UT].mean())
    assert gains[0] > gains[1]


def _users_with(found: pa.Table, *, num_items: int) -> list[str]:
    """Users of whom some interest has that many items behind it."""
    users: list[str] = pc.unique(found.filter(pc.greater_equal(found.column("num_items"), num_items)).column("user_id")).to_pylist()
    return users

"""What lands in the sample's folder, as files of lines in memory.

Formats differ on purpose, as they do where several systems deliver: see
`docs/sample.md`. Spoiling some lines is `flaws`, the mapping that reads them
`dataset_file`, the truth beside them `truth`.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from examples.shop.arrays import Ints
from examples.shop.events import CART, KINDS, PURCHASE, REVIEW, SEARCH, VIEW, Events
from examples.shop.ids import item_id, user_id, visit_id
from examples.shop.item_texts import ItemWords
from examples.shop.lexicon import LANGUAGES
from examples.shop.population import LANGUAGES_READ
from examples.shop.settings import SampleSettings
from examples.shop.world import World

EVENT_COLUMNS = ("occurred_at", "customer", "sku", "action", "visit")
SEARCH_COLUMNS = ("searched_at", "customer", "query", "visit")
USER_COLUMNS = ("customer", "language", "region", "joined_on", "birth_decade")
TRIPLE_COLUMNS = ("head", "relation", "tail")
DAYS_PER_FEEDBACK_FILE = 7
# The review service writes local time with its offset.
FEEDBACK_OFFSET_HOURS = 8
REGIONS = {
    "en": ("London", "Berlin", "Toronto", "Lisbon", "Austin", "Oslo"),
    "zh": ("Shanghai", "Chengdu", "Beijing", "Guangzhou", "Hangzhou", "Xi'an"),
    "both": ("Singapore", "Hong Kong", "Vancouver", "Sydney", "Kuala Lumpur", "San Francisco"),
}


@dataclass
class LandingFile:
    """A file by its path in the sample's folder: an optional header line and its rows, without line ends."""

    path: str
    header: bytes | None
    rows: list[bytes]

    def write(self, directory: Path) -> None:
        """Write it; a `.gz` carries no name and no time, so that equal rows are equal bytes."""
        lines = [*([] if self.header is None else [self.header]), *self.rows]
        content = b"".join(line + b"\n" for line in lines)
        target = directory / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(content, compresslevel=6, mtime=0) if target.suffix == ".gz" else content)


def csv_file(path: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> LandingFile:
    """A csv file with a header; fields are quoted where they must be."""
    return LandingFile(path, _csv_line(columns), [_csv_line(row) for row in rows])


def action_files(events: Events, *, settings: SampleSettings) -> list[LandingFile]:
    """Views, carts and purchases: a csv.gz per day."""
    actions = events.where(np.isin(events.kind, (VIEW, CART, PURCHASE)))
    rows = [
        ",".join(row).encode()
        for row in zip(
            _times(actions.at, settings, suffix="Z"),
            map(user_id, actions.user.tolist()),
            map(item_id, actions.item.tolist()),
            np.array(KINDS)[actions.kind].tolist(),
            map(visit_id, actions.visit.tolist()),
            strict=True,
        )
    ]
    header = ",".join(EVENT_COLUMNS).encode()
    starts = np.searchsorted(actions.day, np.arange(settings.num_days + 1))
    return [
        LandingFile(f"events/{settings.first_day + timedelta(days=day)}.csv.gz", header, rows[starts[day] : starts[day + 1]])
        for day in range(settings.num_days)
    ]


def feedback_files(events: Events, texts: Sequence[str | None], *, settings: SampleSettings) -> list[LandingFile]:
    """Ratings and reviews: a jsonl.gz per week."""
    positions = np.flatnonzero(events.stars > 0)
    given = events.where(positions)
    times = _times(given.at + FEEDBACK_OFFSET_HOURS * 3600, settings, suffix="+08:00")
    rows = [
        _json_line(
            {
                "posted_at": time,
                "customer": user_id(user),
                "sku": item_id(item),
                "kind": KINDS[kind],
                "stars": stars,
                **({"body": texts[position]} if kind == REVIEW else {}),
            }
        )
        for time, user, item, kind, stars, position in zip(
            times, given.user.tolist(), given.item.tolist(), given.kind.tolist(), given.stars.tolist(), positions.tolist(), strict=True
        )
    ]
    week = given.day // DAYS_PER_FEEDBACK_FILE
    files = []
    for number in range(-(-settings.num_days // DAYS_PER_FEEDBACK_FILE)):
        first = settings.first_day + timedelta(days=number * DAYS_PER_FEEDBACK_FILE)
        low, high = np.searchsorted(week, [number, number + 1])
        files.append(LandingFile(f"feedback/week-of-{first}.jsonl.gz", None, rows[low:high]))
    return files


def search_file(events: Events, texts: Sequence[str | None], *, settings: SampleSettings) -> LandingFile:
    """Searches: one csv."""
    positions = np.flatnonzero(events.kind == SEARCH)
    found = events.where(positions)
    times = _times(found.at, settings, suffix="Z")
    rows = (
        (time, user_id(user), texts[position], visit_id(visit))
        for time, user, position, visit in zip(times, found.user.tolist(), positions.tolist(), found.visit.tolist(), strict=True)
    )
    return csv_file("searches.csv", SEARCH_COLUMNS, rows)


def item_file(world: World, words: Sequence[ItemWords]) -> LandingFile:
    """The catalogue: one jsonl, future arrivals included, each with the time it was listed."""
    catalogue = world.catalogue
    times = _times(catalogue.created_at, world.settings, suffix="Z")
    rows = []
    for item, said in enumerate(words):
        department, shelf = world.lexicon.categories[catalogue.category[item]].path.split(" > ")
        rows.append(
            _json_line(
                {
                    "sku": item_id(item),
                    "name": said.title,
                    "description": said.text,
                    "department": department,
                    "shelf": shelf,
                    "labels": said.tags,
                    "attributes": said.attributes,
                    "price": float(catalogue.price[item]),
                    "language": LANGUAGES[catalogue.language[item]],
                    "listed_at": times[item],
                }
            )
        )
    return LandingFile("catalogue/items.jsonl", None, rows)


def user_file(world: World) -> LandingFile:
    """Accounts: one csv."""
    population = world.population
    reads = [LANGUAGES_READ[number] for number in population.reads]
    rows = (
        (
            user_id(user),
            reads[user],
            REGIONS[reads[user]][population.region[user]],
            world.settings.first_day + timedelta(days=int(population.joined_day[user])),
            f"{population.birth_decade[user]}s",
        )
        for user in range(len(population))
    )
    return csv_file("users.csv", USER_COLUMNS, rows)


def knowledge_file(world: World) -> LandingFile:
    """What is known about brands, countries and the style of each item: one csv of triples."""
    lexicon, catalogue = world.lexicon, world.catalogue
    brands = ((brand.names["en"], "made_in", brand.country) for brand in lexicon.brands)
    countries = ((country, "located_in", facts["region"]) for country, facts in lexicon.countries.items())
    styles = ((item_id(item), "has_style", lexicon.styles[style].name) for item, style in enumerate(catalogue.style))
    return csv_file("catalogue/knowledge.csv", TRIPLE_COLUMNS, [*brands, *countries, *styles])


def _times(at_N: Ints, settings: SampleSettings, *, suffix: str) -> list[str]:
    moments = np.datetime64(settings.first_day, "s") + at_N.astype("timedelta64[s]")
    return [text + suffix for text in np.datetime_as_string(moments, unit="s").tolist()]


def _csv_line(fields: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue().encode()


def _json_line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()

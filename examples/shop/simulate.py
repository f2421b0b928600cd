"""The sample from its settings: the one entry for programs; `python -m examples.shop` is the one for people.

Each part draws from a generator of its own, so that changing one leaves the
others as they were.
"""

from pathlib import Path

import numpy as np

from examples.shop.behaviour import simulate_behaviour
from examples.shop.catalogue import build_catalogue
from examples.shop.dataset_file import NAME, dataset_text
from examples.shop.events import concatenate
from examples.shop.flaws import insert_flaws
from examples.shop.item_texts import item_words
from examples.shop.landing import action_files, feedback_files, item_file, knowledge_file, search_file, user_file
from examples.shop.lexicon import load_lexicon
from examples.shop.population import build_population
from examples.shop.settings import SampleSettings
from examples.shop.spam import plan_campaigns, simulate_spam
from examples.shop.truth_files import truth_files
from examples.shop.user_texts import event_texts
from examples.shop.world import World

__all__ = ["SampleSettings", "build_world", "write_sample"]

OUR_FILES = ("events/*.csv.gz", "feedback/*.jsonl.gz", "truth/*.csv")
PARTS = ("catalogue", "population", "behaviour", "item_words", "campaigns", "spam", "event_texts", "flaws")


def write_sample(directory: Path, *, settings: SampleSettings) -> Path:
    """Simulate and write everything below `directory`; returns the path of its dataset file, which is written last.

    Files of an earlier sample in the same folder are replaced, other files are left alone.
    """
    rng = _generators(settings.seed)
    world = build_world(settings)
    campaigns = plan_campaigns(world, rng=rng["campaigns"])
    honest = simulate_behaviour(world, rng=rng["behaviour"])
    spam = simulate_spam(campaigns, catalogue_themes=np.argmax(world.catalogue.themes_IT, axis=1), rng=rng["spam"])
    events = concatenate([honest, spam]).by_time()
    texts = event_texts(events, world=world, rng=rng["event_texts"])
    daily = [*action_files(events, settings=settings), *feedback_files(events, texts, settings=settings)]
    flaws = insert_flaws(daily, rng=rng["flaws"])
    items = item_file(world, item_words(world.lexicon, world.catalogue, rng=rng["item_words"]))
    whole = [search_file(events, texts, settings=settings), items, user_file(world), knowledge_file(world)]
    dataset_file = directory / f"{NAME}.yaml"
    _clear(directory, dataset_file)
    for file in [*daily, *whole, *truth_files(world, events=events, campaigns=campaigns, flaws=flaws)]:
        file.write(directory)
    dataset_file.write_text(dataset_text(settings.first_day), encoding="utf-8")
    return dataset_file


def build_world(settings: SampleSettings) -> World:
    """The catalogue and the people of a sample, before anything happens."""
    rng, lexicon = _generators(settings.seed), load_lexicon()
    catalogue = build_catalogue(lexicon, settings=settings, rng=rng["catalogue"])
    population = build_population(lexicon, settings=settings, rng=rng["population"])
    return World(lexicon, settings, catalogue, population)


def _generators(seed: int) -> dict[str, np.random.Generator]:
    return dict(zip(PARTS, np.random.default_rng(seed).spawn(len(PARTS)), strict=True))


def _clear(directory: Path, dataset_file: Path) -> None:
    # A shorter sample must not inherit the days of a longer one; without a dataset file nobody reads a half-written one.
    dataset_file.unlink(missing_ok=True)
    for pattern in OUR_FILES:
        for path in directory.glob(pattern):
            path.unlink()

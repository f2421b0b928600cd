"""The example dataset files over the real sets: nothing is wrong, and the counts are those their DATA.md tells."""

from datetime import UTC, datetime

import pytest

from ml.config.pipeline import IntakeConfig
from ml.intake.dataset import load_dataset
from ml.intake.validate import validate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Dataset file -> folder, rows per table as DATA.md counts them, first and last day of the events.
EXAMPLES = {
    "movielens": ("movielens-small-text", {"events": 100_836 + 3_683, "items": 9_742}, ("1996-03-29", "2018-09-24")),
    "goodbooks": ("goodbooks-10k-v1", {"events": 981_756, "items": 10_000}, ("2017-09-01", "2017-09-30")),
    "douban-zh": ("zh-douban-movies-1000", {"events": 31_950, "items": 1_000}, ("2018-06-01", "2018-06-03")),
    "musical-instruments": ("amazon-musical-instruments-reviews", {"events": 10_261}, ("2004-09-18", "2014-07-22")),
    "retailrocket": ("retailrocket-multibehavior", {"events": 97_381, "knowledge": 304_537}, ("2015-05-03", "2015-09-18")),
    "bookcrossing": ("bookcrossing-kg", {"events": 69_873, "items": 14_967, "knowledge": 151_500}, ("2004-09-01", "2004-09-01")),
    "lastfm": ("lastfm-kg", {"events": 92_834, "items": 17_632, "knowledge": 15_518 + 25_434}, ("2011-05-01", "2011-05-01")),
}


def variables(real_data, folder):
    return {"INTEREST_GRAPH_DATA": str(real_data(folder).parent)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_row_of_the_real_set_keeps_the_contract(name, repository, real_data):
    folder, counts, days = EXAMPLES[name]
    dataset = load_dataset(repository / "examples" / f"{name}.yaml", variables=variables(real_data, folder))
    report = validate(dataset, config=IntakeConfig(), now=NOW)
    assert report.findings == ()
    assert report.num_rows == {"events": 0, "items": 0, "users": 0, "knowledge": 0} | counts
    assert not any(report.num_quarantined.values())
    assert (report.first_event_at.date().isoformat(), report.last_event_at.date().isoformat()) == days
    assert dataset.name == name
    assert dataset.start <= report.last_event_at.date()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_dataset_file_alone_holds(name, repository):
    dataset = load_dataset(repository / "examples" / f"{name}.yaml", variables={"INTEREST_GRAPH_DATA": "/data"})
    assert dataset.name == name

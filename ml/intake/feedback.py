"""The feedback log as a source of events that no dataset file names, and what each kind of feedback is worth.

The log lies in the dataset's home; whoever reads landing files with it says where by `with_feedback`.
Its rows are events like all others. Who writes it is `serving.feedback`.
"""

from pathlib import Path

from ml.intake.schema import Dataset, Source

# The variable that stands for the log's folder: names of its files are then equal on every machine.
FOLDER_VARIABLE = "INTEREST_GRAPH_FEEDBACK"
# Kind of feedback, which is its event type, to its worth where a dataset's weights do not name it.
DEFAULT_WEIGHTS = {
    "click": "1",
    "like": "3",
    "dislike": "-3",
    "hide": "-3",
    "purchase": "4",
    "rating": "value - 3.0",
    "text": "0",
}
LOG = Source(
    path=f"${{{FOLDER_VARIABLE}}}/*.jsonl",
    growing=True,
    columns={name: name for name in ("event_id", "user_id", "item_id", "event_type", "event_at", "value", "text", "session_id")},
)


def with_feedback(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset with the feedback log in `folder` as one more source of events, as soon as it holds anything."""
    return dataset.model_copy(update={"variables": {**dataset.variables, FOLDER_VARIABLE: str(folder)}})


def without_feedback(dataset: Dataset) -> Dataset:
    """The dataset with the sources of its file alone."""
    kept = {name: value for name, value in dataset.variables.items() if name != FOLDER_VARIABLE}
    return dataset.model_copy(update={"variables": kept})


def sources_of(dataset: Dataset, table: str) -> tuple[Source, ...]:
    """The sources of a table by its name: the dataset file's, and of events the feedback log where it holds anything."""
    given = dataset.tables.of(table)
    folder = dataset.variables.get(FOLDER_VARIABLE)
    is_there = table == "events" and folder is not None and any(Path(folder).glob("*.jsonl"))
    return (*given, LOG) if is_there else given


def event_weights(dataset: Dataset) -> dict[str, str]:
    """What every event type is worth, signed SQL over `value`; the dataset file's own word comes before our defaults."""
    return DEFAULT_WEIGHTS | dataset.weights


def weights_of(dataset: Dataset, source: Source) -> dict[str, str]:
    """The event types a source may hold: feedback any kind, a source of the dataset file only what its weights name."""
    return event_weights(dataset) if source == LOG else dataset.weights

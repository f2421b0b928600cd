"""Where every artefact of a dataset lies below one home folder.

All state of all datasets is under one `root` (`INTEREST_GRAPH_HOME`), each
dataset in its own folder, so that two of them never meet.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DatasetHome:
    """The folders of one dataset."""

    root: Path
    dataset: str

    @property
    def base(self) -> Path:
        """The dataset's own folder."""
        return self.root / self.dataset

    @property
    def tables(self) -> Path:
        """Contract tables as Parquet, `<table>/<day>.parquet`."""
        return self.base / "tables"

    @property
    def warehouse(self) -> Path:
        """dbt's DuckDB file; dbt alone opens it."""
        return self.base / "warehouse.duckdb"

    @property
    def embedding_cache(self) -> Path:
        """Text vectors by content hash, a folder per embedding space."""
        return self.base / "embedding_cache"

    @property
    def extractor_answers(self) -> Path:
        """What a language model answered, by hash of what was asked."""
        return self.base / "extractor_answers"

    @property
    def releases(self) -> Path:
        """Immutable release directories and the `current` pointer."""
        return self.base / "releases"

    @property
    def candidates(self) -> Path:
        """Trained models that no gate has judged yet, a folder per day."""
        return self.base / "candidates"

    @property
    def encoders(self) -> Path:
        """Which encoder reads each day's texts, and the fine-tuned ones, a folder per day."""
        return self.base / "encoders"

    @property
    def fine_tuning(self) -> Path:
        """Fine-tuning under way, a folder per day; gone when it ends."""
        return self.base / "fine_tuning"

    @property
    def checkpoints(self) -> Path:
        """Training under way, a folder per day; gone when it ends."""
        return self.base / "checkpoints"

    @property
    def search(self) -> Path:
        """Searches over settings, a folder per profile and day."""
        return self.base / "search"

    @property
    def ranking(self) -> Path:
        """Recommendations under way, a folder per day; gone when they are written."""
        return self.base / "ranking"

    @property
    def feedback(self) -> Path:
        """The feedback log: what users told the service, a file a day or more; landing files like any other."""
        return self.base / "feedback"

    @property
    def landed(self) -> Path:
        """Landing files as they were read, so that none is read twice."""
        return self.base / "landed"

    @property
    def reconciliation(self) -> Path:
        """What landed against what is built, as last compared."""
        return self.base / "reconciliation.parquet"

    @property
    def feature_store(self) -> Path:
        """Feast's registry and embedded online store."""
        return self.base / "feature_store"

    @property
    def access(self) -> Path:
        """Who may ask: hashes of API keys, and the secrets that texts are signed with; for the owner's eyes only."""
        return self.base / "access"

    @property
    def reports(self) -> Path:
        """HTML reports for people."""
        return self.base / "reports"

    @property
    def runs(self) -> Path:
        """What each finished `interest-graph run` was made from."""
        return self.base / "runs"

"""The tree of errors this project raises, each carrying its data.

Add a class here when a caller could act on it differently from its parent; a
wrong argument stays `ValueError`, a broken invariant stays `assert`.

    InterestGraphError
    ├── ConfigError          a profile or setting that does not hold
    ├── DatasetError         a dataset file, its mapping or its files
    ├── ContractError        a table that breaks its declared contract
    ├── MissingTableError    a table or partition that was never written
    ├── TornTableError       a partition whose bytes are not those it was finished with
    ├── LeakageError         rows from the future of `as_of`
    ├── EmbeddingSpaceError  vectors of two spaces meeting
    ├── UnknownIdError       an id outside the vocabulary
    ├── EvaluationError      too little history to measure anything
    ├── SearchError          a search over settings that is under way elsewhere, or cannot begin
    ├── ExtractorError       a language model endpoint that does not answer
    ├── ReleaseError         a release that is absent, torn or of another kind
    ├── PublishError         features that could not be put online, or are not what was published
    └── AccessError          keys, secrets or an address a service must not be started or answer with
        └── SignedTextError  a signed text that is not ours, is too old, or was signed for something else


    └── FeedbackError        feedback that was not kept: the log cannot be written, or belongs to another process
        └── KeyReusedError   an idempotency key that stands for other feedback
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where it is, what it is, how to mend it."""

    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    mend: {self.mend}"


class InterestGraphError(Exception):
    """Parent of every error a user of this project may meet."""


class ConfigError(InterestGraphError):
    """A profile or a setting that does not hold."""


class DatasetError(InterestGraphError):
    """A dataset file whose mapping or files cannot be used; says everything at once."""

    def __init__(self, path: str, findings: Sequence[Finding]) -> None:
        self.path = path
        self.findings = tuple(findings)
        listing = "\n".join(f"  {number}. {finding}" for number, finding in enumerate(findings, 1))
        super().__init__(f"{path}: {len(self.findings)} problem(s)\n{listing}")


class ContractError(InterestGraphError):
    """A table that breaks its contract, with every failure found."""

    def __init__(self, table: str, failures: Sequence[str]) -> None:
        self.table = table
        self.failures = tuple(failures)
        super().__init__(f"table {table} breaks its contract: " + "; ".join(self.failures))


class MissingTableError(InterestGraphError):
    """A table or a partition of it that nobody has written yet."""

    def __init__(self, table: str, partition: str, available: Sequence[str] = (), *, mend: str = "materialize it first") -> None:
        self.table = table
        self.partition = partition
        found = f"written: {available[0]} to {available[-1]}" if available else "nothing is written yet"
        super().__init__(f"table {table} has no partition {partition} ({found}); {mend}")


class TornTableError(InterestGraphError):
    """A partition that holds other bytes than it was finished with: a broken disk, or somebody's edit."""

    def __init__(self, table: str, partition: str, path: str) -> None:
        self.table = table
        self.partition = partition
        super().__init__(f"table {table}, partition {partition}: {path} is not as it was written; delete it and run the same again")


class LeakageError(InterestGraphError):
    """Rows that were not known at `as_of`."""

    def __init__(self, table: str, *, num_rows: int, latest: datetime, as_of: datetime) -> None:
        self.table = table
        self.num_rows = num_rows
        self.latest = latest
        self.as_of = as_of
        super().__init__(f"table {table}: {num_rows} row(s) at or after as_of {as_of.isoformat()}, latest {latest.isoformat()}")


class KnownAnswersError(InterestGraphError):
    """A test whose answers the models were given."""

    def __init__(self, place: str, *, num_pairs: int) -> None:
        self.place = place
        self.num_pairs = num_pairs
        super().__init__(
            f"{num_pairs} pair(s) that the test asks for are among {place} of the inputs: build the inputs as of the test's start, "
            "or take known pairs out of the test"
        )


class EmbeddingSpaceError(InterestGraphError):
    """Two embedding spaces that must not be compared."""

    def __init__(self, left: str, right: str) -> None:
        self.left = left
        self.right = right
        super().__init__(f"embedding spaces differ: {left} and {right}; re-embed one of them with the other's model")


class UnknownIdError(InterestGraphError):
    """Ids that the vocabulary does not hold."""

    def __init__(self, kind: str, ids: Sequence[str]) -> None:
        self.kind = kind
        self.ids = tuple(ids)
        shown = ", ".join(repr(unknown) for unknown in self.ids[:5])
        more = f" and {len(self.ids) - 5} more" if len(self.ids) > 5 else ""
        super().__init__(f"unknown {kind}: {shown}{more}")


class EvaluationError(InterestGraphError):
    """Too little history to split or to measure; training and looking up still work."""


class SearchError(InterestGraphError):
    """A search over settings that another process is at, or whose own profile's settings could not be fitted."""


class ExtractorError(InterestGraphError):
    """A language model endpoint that does not answer, or refuses to."""

    def __init__(self, address: str, cause: str, mend: str) -> None:
        self.address = address
        self.cause = cause
        super().__init__(f"{address}: {cause}; {mend}")


class ReleaseError(InterestGraphError):
    """A release that is absent, torn, or not what the reader expects."""


class PublishError(InterestGraphError):
    """Features that could not be put online, or that read back as something else than was published."""


class AccessError(InterestGraphError):
    """Keys, secrets or an address that a service must not be started or answer with."""


class SignedTextError(AccessError):
    """A signed text that is refused; `reason` is one of a few words a caller can count."""

    def __init__(self, reason: str, mend: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {mend}")


class FeedbackError(InterestGraphError):
    """Feedback that was not kept, and why; nothing of it was acknowledged."""


class KeyReusedError(FeedbackError):
    """An idempotency key that was given before, with other feedback."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"idempotency key {key!r} was given before with other feedback; send new feedback under a new key")

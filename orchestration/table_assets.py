"""The decorators that make a function of one day an asset of any number of days.

Key, description, column schema, partitions, inputs and storage come from the names
and contracts; the decorated function takes the day and its input tables as parameters,
calls one public function of `ml` and returns what it made. What is common to all days
is here: inputs as of the day, days that need not be made again, days others stand on.
"""

import inspect
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from ml.contracts import CONTRACTS, TableContract
from ml.contracts.manifest import Recipe, combined
from ml.days import as_of
from orchestration.artefacts import Artefact, Metadata
from orchestration.code_version import code_version
from orchestration.partitions import DAYS_PER_RUN, SAME_DAY
from orchestration.progress import Progress, logged_progress
from orchestration.scope import Scope

OWNER = "team:recommendations"
# A run with this tag makes its days again although nothing they are made from changed.
RECOMPUTE_TAG = "interest_graph/recompute"


@dataclass(frozen=True)
class DayRun:
    """One day of a run, as an asset's function sees it."""

    day: date
    log: Callable[[str], None]
    # Pictures are drawn for the newest day of a run alone: drawing costs more than some days do.
    is_newest: bool = True
    # What decides the day's bytes (code, settings, inputs), as one sha256: work under way is of use to the same alone.
    fingerprint: str = ""

    @property
    def as_of(self) -> datetime:
        """The day's end, exclusive."""
        return as_of(self.day)

    def progress(self, what: str) -> Progress:
        """A callback that logs how far `what` has come."""
        return logged_progress(self.log, f"{self.day} {what}")


@dataclass(frozen=True)
class Made:
    """What a function made: the value to keep, what people should see with it, and the folder of its work, of no use once it is kept."""

    value: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    workshop: Path | None = None


@dataclass(frozen=True)
class DayCheck:
    """A check of what was kept, judged on the newest day of every run, made again or not."""

    spec: dg.AssetCheckSpec
    judge: Callable[[date], dg.AssetCheckResult]


def partition_days(context: dg.AssetExecutionContext) -> list[date]:
    """The days of a run over one partition or a range."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def wants_recompute(context: dg.AssetExecutionContext) -> bool:
    """Whether the run is tagged to make its days again."""
    return context.run.tags.get(RECOMPUTE_TAG) == "true"


def column_schema(contract: TableContract) -> dg.TableSchema:
    """A contract's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in contract.columns
        ]
    )


def contract_attributes(contract: TableContract) -> dict[str, Any]:
    """Description and definition metadata of a table's asset."""
    return {
        "description": f"One row per {contract.row}." + (" A snapshot at the day's end." if contract.grain == "snapshot" else ""),
        "metadata": {"dagster/column_schema": column_schema(contract), "key": ", ".join(contract.key) or "none"},
    }


def day_assets(
    scope: Scope,
    *names: str,
    group: str,
    kinds: set[str],
    settings: BaseModel | tuple[BaseModel | str, ...] = (),
    description: str | None = None,
    checks: Sequence["DayCheck"] = (),
    stands_on: Mapping[str, Artefact] | None = None,
    base: Callable[[date], date | None] | None = None,
    needed_by_full_fits: bool = False,
    reads_on_demand: bool = False,
    holds: Callable[[date], bool] = lambda _: True,
) -> Callable[[Callable[..., Made | tuple[Made, ...]]], dg.AssetsDefinition]:
    """An asset per name, made together by a function of one day.

    `settings` are all that the function is set by. With `stands_on`, the function also reads these
    artefacts as they were on the day that `base` names: that of the last full fit (`scope.last_full_fit`), or with
    a `base` of its own another one, which is made on the way where it is missing or no longer made from what is there now.
    With `needed_by_full_fits`, the full fits that the days stand on are made on the way where they are
    missing or outdated likewise: late events change them as they change any day. With `reads_on_demand` the function
    is given a reader of each input instead of the input: it needs them on few days. `holds` says whether what else
    the function makes of a day is still there.
    """

    def decorate(function: Callable[..., Made | tuple[Made, ...]]) -> dg.AssetsDefinition:
        inputs = [name for name in inspect.signature(function).parameters if name != "run"]
        version = code_version(function.__module__, settings=settings if isinstance(settings, tuple) else (settings,))
        maker = DayMaker(
            scope, names, tuple(inputs), function, version, stands_on or {}, base or scope.last_full_fit, reads_on_demand, holds
        )

        @dg.multi_asset(
            name="_and_".join(names) if len(names) <= 2 else names[0],
            specs=[_spec(scope, name, inputs=inputs, group=group, kinds=kinds, version=version, description=description) for name in names],
            check_specs=[check.spec for check in checks],
            partitions_def=scope.partitions,
            backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN),
        )
        def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
            asked = partition_days(context)
            full_fits = scope.full_fits_before(asked) if needed_by_full_fits else []
            bases = [] if base is None else [found for found in map(base, [*asked, *full_fits]) if found]
            _make_days(context, maker, asked=asked, stood_on=[*full_fits, *bases])
            yield from (dg.MaterializeResult(asset_key=scope.key(name)) for name in names)
            yield from (check.judge(asked[-1]) for check in checks)

        return made

    return decorate


@dataclass(frozen=True)
class DayMaker:
    """Makes one day of some assets, or finds that it need not."""

    scope: Scope
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    function: Callable[..., Made | tuple[Made, ...]]
    version: str
    stands_on: Mapping[str, Artefact]
    base: Callable[[date], date | None]
    reads_on_demand: bool
    holds: Callable[[date], bool]

    def recipe(self, day: date) -> Recipe:
        """What decides the day's bytes."""
        digests = {name: self.scope.artefact(name).digest(day) for name in self.inputs}
        base = self.base(day)
        if base is not None:
            digests |= {f"{name} it stands on": kept.digest(base) for name, kept in self.stands_on.items()}
        return Recipe(self.version, digests)

    def make(self, run: DayRun, *, recompute: bool) -> tuple[Made, ...] | None:
        """Make and keep the day; None where all of it is there already, whole and made from the same."""
        recipe = self.recipe(run.day)
        if not recompute and self._is_made(recipe, run.day):
            return None
        readers = {name: partial(self.scope.artefact(name).read, run.day) for name in self.inputs}
        run = replace(run, fingerprint=combined({"code": recipe.code_version, **recipe.inputs}))
        made = self.function(run, **(readers if self.reads_on_demand else {name: read() for name, read in readers.items()}))
        several = made if isinstance(made, tuple) else (made,)
        for artefact, one in zip(self._kept, several, strict=True):
            artefact.write(one.value, day=run.day, recipe=recipe)
            if one.workshop is not None:
                shutil.rmtree(one.workshop, ignore_errors=True)
        return several

    def _is_made(self, recipe: Recipe, day: date) -> bool:
        return all(artefact.is_made_from(recipe, day=day) and artefact.is_whole(day) for artefact in self._kept) and self.holds(day)

    @property
    def _kept(self) -> list[Artefact]:
        return [self.scope.artefact(name) for name in self.names]


def _make_days(context: dg.AssetExecutionContext, maker: DayMaker, *, asked: Sequence[date], stood_on: Sequence[date]) -> None:
    for day in sorted({*asked, *stood_on}):
        started = time.monotonic()
        made = maker.make(DayRun(day, context.log.info, is_newest=day == asked[-1]), recompute=wants_recompute(context) and day in asked)
        if made is None and day not in asked:
            continue
        seconds = {"seconds": time.monotonic() - started}
        for place, name in enumerate(maker.names):
            said = dict(made[place].metadata) | seconds if made else {"reused": True}
            _say(context, maker.scope, name, day=day, asked=day in asked, said=said)


def say_what_days_hold(
    context: dg.AssetExecutionContext, scope: Scope, names: Sequence[str], *, asked: Sequence[date], made: Collection[date]
) -> None:
    """Metadata of every day asked for, and a materialization of every other day that was made on the way."""
    for day in sorted({*asked, *made}):
        for name in names:
            _say(context, scope, name, day=day, asked=day in asked, said={} if day in made else {"reused": True})


def _say(context: dg.AssetExecutionContext, scope: Scope, name: str, *, day: date, asked: bool, said: Metadata) -> None:
    metadata = {**scope.artefact(name).describe(day), **said}
    if asked:
        context.add_asset_metadata(metadata, asset_key=scope.key(name), partition_key=day.isoformat())
    else:
        context.log_event(dg.AssetMaterialization(scope.key(name), partition=day.isoformat(), metadata=metadata))


def same_day(scope: Scope, names: Iterable[str]) -> list[dg.AssetDep]:
    """The edges from an asset's parents."""
    return [dg.AssetDep(scope.key(name), partition_mapping=SAME_DAY) for name in names]


def newest_day_asset(
    scope: Scope, name: str, *, deps: Iterable[str], **attributes: Any
) -> Callable[[Callable[[dg.AssetExecutionContext], Iterator[dg.MaterializeResult[None]]]], dg.AssetsDefinition]:
    """An asset that looks at what is now: of a run's days its function takes the newest alone.

    In runs of as many days as its parents', and so in theirs: a backfill would launch it behind each of them otherwise.
    """
    made: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        key=scope.key(name),
        deps=same_day(scope, deps),
        partitions_def=scope.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN),
        owners=[OWNER],
        **attributes,
    )
    return made


def _spec(
    scope: Scope, name: str, *, inputs: Sequence[str], group: str, kinds: set[str], version: str, description: str | None
) -> dg.AssetSpec:
    contract = CONTRACTS.get(name)
    histories = [upstream for upstream in inputs if upstream in CONTRACTS and CONTRACTS[upstream].grain == "daily"]
    attributes = contract_attributes(contract) if contract else {"description": description, "metadata": {}}
    attributes["metadata"] |= {"reads every day through its own of": ", ".join(histories) or "nothing"}
    return dg.AssetSpec(
        scope.key(name),
        deps=same_day(scope, inputs),
        group_name=group,
        owners=[OWNER],
        kinds=kinds,
        code_version=version,
        **attributes,
    )

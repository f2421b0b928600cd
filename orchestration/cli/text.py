"""`fit-projection`: fewer numbers per vector, made from a catalogue."""

from pathlib import Path

import typer

from ml.errors import ConfigError
from orchestration.cli.options import DatasetFile, Day, Home, Profile, open_scope


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    example = "Example: interest-graph fit-projection --dimension 128 --out projection.safetensors, then text.projection in the profile"
    app.command("fit-projection", epilog=example)(fit_command)


def fit_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    dimension: int = typer.Option(..., "--dimension", min=1, help="Numbers to keep of each vector."),
    out: Path = typer.Option(..., "--out", help="File to write."),
) -> None:
    """Write the principal directions of the catalogue's vectors, for `text.projection` of a profile."""
    scope = open_scope(home, dataset, profile)
    if scope.config.text.projection or scope.config.text.dimension:
        raise ConfigError("the profile's vectors are reduced already; fit with one that sets neither text.projection nor text.dimension")
    from ml.contracts.vectors import vectors_to_matrix
    from ml.text.reduction import fit_projection, kept_variance, save_projection
    from orchestration.answers import read_table

    vectors = vectors_to_matrix(read_table(scope, "item_embeddings", day=day.date() if day else None).column("vector"))
    try:
        mean_D, components_DK = fit_projection(vectors, dimension=dimension)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    save_projection(out, mean_D=mean_D, components_DK=components_DK)
    share = kept_variance(vectors, components_DK=components_DK)
    typer.echo(f"{out}: {vectors.shape[1]} numbers to {dimension}, {share:.1%} of what differs between {len(vectors)} items is kept")

"""`keys`: who may ask the services."""

from datetime import UTC, datetime, timedelta

import typer

from orchestration.cli.options import AsJson, DatasetFile, Home, Profile, open_scope
from orchestration.cli.render import print_json, print_rows

_SCOPES_HELP = "What it may do: read, feedback, admin; several times for several."


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="API keys of the services: make, list, end.")
    example = "Example: interest-graph keys create --name shop-backend --scope read --scope feedback --expires-days 90"
    keys.command("create", epilog=example)(create_command)
    keys.command("list", epilog="Example: interest-graph keys list --json")(list_command)
    keys.command("revoke", epilog="Example: interest-graph keys revoke 3f9c01ab77de")(revoke_command)
    keys.command("rotate-secret", epilog="Example: interest-graph keys rotate-secret")(rotate_command)
    app.add_typer(keys, name="keys")


def create_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    name: str = typer.Option(..., "--name", help="Whose it is; two live keys may share a name while one takes over."),
    scope: list[str] = typer.Option(..., "--scope", help=_SCOPES_HELP),
    expires_days: int | None = typer.Option(None, "--expires-days", min=1, max=36500, help="Days it holds.", show_default="no end"),
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from serving.access.keys import checked_scopes, create_key

    access = open_scope(home, dataset, profile).home.access
    now = datetime.now(UTC)
    expires_at = now + timedelta(days=expires_days) if expires_days is not None else None
    made = create_key(access, name=name, scopes=checked_scopes(scope), now=now, expires_at=expires_at)
    if as_json:
        print_json({**made.key.described(now), "key": made.text})
    else:
        typer.echo(made.text)
        typer.echo(f"key {made.key.id} of {name}; it is shown this once", err=True)


def list_command(*, home: Home = None, dataset: DatasetFile = None, profile: Profile = None, as_json: AsJson = False) -> None:
    """List keys, oldest first, ended ones too."""
    from serving.access.keys import read_keys

    scope = open_scope(home, dataset, profile)
    now = datetime.now(UTC)
    rows = [key.described(now) for key in read_keys(scope.home.access)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, title=f"API keys of {scope.dataset.name}")


def revoke_command(
    key_id: str = typer.Argument(..., metavar="ID", help="The key's id, as `keys list` has it."),
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """End a key; running services refuse it from their next request on."""
    from serving.access.keys import revoke_key

    now = datetime.now(UTC)
    ended = revoke_key(open_scope(home, dataset, profile).home.access, key_id, now=now)
    if as_json:
        print_json(ended.described(now))
    else:
        typer.echo(f"key {ended.id} of {ended.name} is revoked")


def rotate_command(*, home: Home = None, dataset: DatasetFile = None, profile: Profile = None, as_json: AsJson = False) -> None:
    """Sign impressions and conversations with a new secret; those of the one before hold until the next rotation."""
    from serving.access.secrets import rotate_secret

    new = rotate_secret(open_scope(home, dataset, profile).home.access, now=datetime.now(UTC))
    if as_json:
        print_json({"secret_id": new.id, "created_at": new.created_at})
    else:
        typer.echo(f"signing with secret {new.id} from now on")

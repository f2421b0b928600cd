"""`interest-graph keys`: shown once, listed without secrets, ended, and exit codes."""

import json

import pytest
from typer.testing import CliRunner

from ml.errors import AccessError
from orchestration.cli import app

DATASET = """
name: tiny
start: 2026-01-01
tables:
  events:
    - path: events.csv
      columns: {user_id: u, item_id: i, event_type: "'view'", event_at: t}
  items:
    - path: items.csv
      columns: {item_id: i, title: i}
weights: {view: 1}
"""


@pytest.fixture
def keys(tmp_path):
    """Run a `keys` command for a tiny dataset."""
    (tmp_path / "tiny.yaml").write_text(DATASET)
    (tmp_path / "events.csv").write_text("u,i,t\na,b,2026-01-01\n")
    (tmp_path / "items.csv").write_text("i\nb\n")

    def run(*arguments):
        options = ["--home", str(tmp_path / "home"), "--dataset", str(tmp_path / "tiny.yaml")]
        return CliRunner().invoke(app, ["keys", arguments[0], *options, *arguments[1:]])

    return run


def test_a_key_is_made_listed_and_ended(keys, tmp_path):
    made = keys("create", "--name", "backend", "--scope", "feedback", "--scope", "read", "--expires-days", "30")
    text = made.stdout.strip()
    assert (made.exit_code, text.startswith("ig_")) == (0, True)
    listed = json.loads(keys("list", "--json").stdout)
    assert [(row["id"], row["name"], row["scopes"], row["state"]) for row in listed] == [
        (text.split("_")[1], "backend", ["read", "feedback"], "live")
    ]
    assert listed[0]["expires_at"] > listed[0]["created_at"]
    for shown in (keys("list").stdout, keys("list", "--json").stdout, (tmp_path / "home/tiny/access/keys.json").read_text()):
        assert text.split("_", 2)[2] not in shown
        assert "backend" in shown
    second = json.loads(keys("create", "--name", "backend", "--scope", "read", "--json").stdout)
    assert (second["key"].split("_")[1], second["expires_at"]) == (second["id"], None)
    third = keys("create", "--name", "backend", "--scope", "read")
    assert isinstance(third.exception, AccessError)
    assert keys("revoke", second["id"]).stdout == f"key {second['id']} of backend is revoked\n"
    assert [row["state"] for row in json.loads(keys("list", "--json").stdout)] == ["live", "revoked"]


def test_wrong_wishes_are_told(keys):
    for arguments in (("create", "--name", "x", "--scope", "root"), ("create", "--name", "x y", "--scope", "read"), ("revoke", "none")):
        assert isinstance(keys(*arguments).exception, AccessError)
    assert keys("create", "--name", "x").exit_code == 2
    assert keys("create", "--name", "x", "--scope", "read", "--expires-days", "0").exit_code == 2
    assert keys("list").stdout == "API keys of tiny: nothing\n"


def test_the_signing_secret_is_replaced(keys, tmp_path):
    first, second = (json.loads(keys("rotate-secret", "--json").stdout)["secret_id"] for _ in range(2))
    kept = json.loads((tmp_path / "home/tiny/access/secrets.json").read_text())["secrets"]
    assert [secret["id"] for secret in kept] == [second, first]

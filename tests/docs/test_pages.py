"""Generated pages equal the code; the README shows commands that exist."""

import re
import subprocess

from orchestration.reference import config_page, tables_page


def test_generated_pages_are_current(repository) -> None:
    assert (repository / "docs/tables.md").read_text() == tables_page(), "run: make docs"
    assert (repository / "docs/config.md").read_text() == config_page(), "run: make docs"


def test_readme_make_targets_exist(repository) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"\bmake ([a-z-]+)", (repository / "README.md").read_text()))
    assert {"run", "test"} <= shown
    assert shown <= targets


def test_readme_commands_exist(repository) -> None:
    shown = set(re.findall(r"interest-graph ([a-z][a-z-]+)", (repository / "README.md").read_text()))
    assert shown
    for name in shown:
        done = subprocess.run([str(repository / ".venv/bin/interest-graph"), name, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_links_between_pages_lead_somewhere(repository) -> None:
    for page in [repository / "README.md", *(repository / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_nothing_of_a_machine_is_committed(repository) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, listed):
        path = repository / name
        if path.suffix in {".png", ".jpg"} or not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        assert f"{repository}/" not in text or name == "tests/docs/test_pages.py", name
        assert "extra-index-url" not in text or name == "tests/docs/test_pages.py", name

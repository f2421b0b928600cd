"""HTML pages for people: whole or absent, and without anything fetched from the network."""

from html import escape
from pathlib import Path

from ml.contracts.files import write_text

STYLE = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}" + (
    "td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}svg{max-width:100%;height:auto}"
)


def page(title: str, body: str) -> str:
    """A plain page; `body` is HTML, `title` is text."""
    head = f'<head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>'
    return f'<!DOCTYPE html><html lang="en">{head}<body><h1>{escape(title)}</h1>{body}</body></html>'


def write_report(html: str, path: Path) -> Path:
    """Write the page atomically; returns its path."""
    return write_text(html, path)

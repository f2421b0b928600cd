"""Ranking quality over time, from evaluation tables written by hand."""

from datetime import date

import pyarrow as pa

from ml.contracts import CONTRACTS
from monitoring.quality import quality_over_time
from monitoring.report import page, write_report


def evaluation(*rows):
    names = ("model", "segment", "metric", "value", "ci_low", "ci_high", "num_users")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=CONTRACTS["evaluation"].schema)


FIRST = evaluation(
    ("popularity", "all", "ndcg@10", 0.02, 0.01, 0.03, 90),
    ("interest_gnn", "all", "ndcg@10", 0.05, 0.04, 0.06, 90),
    ("interest_gnn", "cold_users", "ndcg@10", 0.9, 0.8, 1.0, 9),
    ("interest_gnn", "all", "coverage@10", 0.7, None, None, 90),
)
SECOND = evaluation(("interest_gnn", "all", "ndcg@10", 0.055, 0.05, 0.06, 95))


def test_one_row_per_day_and_model_of_the_metric():
    report = quality_over_time({date(2026, 3, 2): SECOND, date(2026, 3, 1): FIRST}, metric="ndcg@10")
    assert [(row["day"].day, row["model"], row["value"]) for row in report.table.to_pylist()] == [
        (1, "interest_gnn", 0.05),
        (1, "popularity", 0.02),
        (2, "interest_gnn", 0.055),
    ]
    assert "<svg" in report.html
    assert "0.0550" in report.html


def test_metrics_without_interval_and_days_without_the_metric():
    report = quality_over_time({date(2026, 3, 1): FIRST, date(2026, 3, 2): SECOND}, metric="coverage@10")
    assert report.table.num_rows == 1
    assert report.table.column("ci_low").to_pylist() == [None]


def test_nothing_evaluated_is_said():
    assert "No evaluation holds ndcg@10 yet" in quality_over_time({}, metric="ndcg@10").html
    assert quality_over_time({date(2026, 3, 1): CONTRACTS["evaluation"].empty()}, metric="ndcg@10").table.num_rows == 0


def test_same_rows_same_bytes():
    pages = [quality_over_time({date(2026, 3, 1): FIRST}, metric="ndcg@10").html for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_page_escapes_its_title_and_is_written_whole(tmp_path):
    path = write_report(page("<品质>", "<p>ok</p>"), tmp_path / "reports" / "quality.html")
    text = path.read_text(encoding="utf-8")
    assert "&lt;品质&gt;" in text
    assert [found.name for found in path.parent.iterdir()] == ["quality.html"]

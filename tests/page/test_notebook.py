"""A report at the end of a cell shows itself."""

from __future__ import annotations

import graphopt
from tests.page.models import EVIL, parsed
from tests.page.pages import reported
from tests.page.test_page import PLAIN, Tags


def test_a_report_renders_as_tables_without_a_script() -> None:
    report = reported(parsed(PLAIN))
    html = report._repr_html_()
    assert {"table", "td"} <= set(Tags(html).tags) <= {"div", "b", "table", "thead", "tbody", "tr", "th", "td"}
    for words in ("level1", "MatMul", "Gemm", "matmul-add-to-gemm", "nodes"):
        assert words in html


def test_whatever_a_model_is_called_stays_text() -> None:
    report = reported(parsed(PLAIN))
    report.source = f"{EVIL}.onnx"
    report.warnings.append(EVIL)
    report.before.operators[EVIL] = 3
    html = report._repr_html_()
    assert EVIL not in html
    assert "script" not in Tags(html).tags


def test_an_empty_report_and_a_verified_one_render() -> None:
    assert "no passes" in graphopt.Report()._repr_html_()
    report = graphopt.Report()
    graphopt.optimize(parsed(PLAIN), verify=True, report=report)
    assert "verified: " in report._repr_html_()


def test_long_tables_say_how_much_is_left_out() -> None:
    report = graphopt.Report("level1")
    report.before.operators.update({f"Op{number}": 1 for number in range(40)})
    assert "(25 more)" in report._repr_html_()

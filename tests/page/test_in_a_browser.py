"""The report page as somebody uses it: opened in Chromium, searched, zoomed, clicked, walked through by keys."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

import graphopt
from graphopt.observe.report import Report
from tests.page.browser import Browser
from tests.page.models import EVIL, parsed, renamed, transformer
from tests.page.pages import Held, between, reported, written
from tests.page.test_page import PLAIN

ENTER, ESCAPE, BACKSPACE, DOWN = "\ue007", "\ue00c", "\ue003", "\ue015"
LAYERS = 15


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a transformer of more than 1,400 nodes."""
    folder = tmp_path_factory.mktemp("big")
    source = transformer(folder, LAYERS)
    assert len(onnx.load(source).graph.node) > 1400
    graphopt.optimize(source, output=folder / "out.onnx", report=folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="session")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a model with subgraphs and a function, as it is."""
    return written(between(parsed()), tmp_path_factory.mktemp("branches") / "page.html")


def centre(browser: Browser, side: str, selector: str) -> tuple[float, float]:
    """Where the middle of a frame is, from the middle of the pane, as parts of its size."""
    script = """
        const pane = document.querySelector(arguments[0] + ' svg').getBoundingClientRect();
        const box = document.querySelector(arguments[0] + ' ' + arguments[1]).getBoundingClientRect();
        return [(box.x + box.width / 2 - pane.x) / pane.width - 0.5, (box.y + box.height / 2 - pane.y) / pane.height - 0.5];"""
    x, y = browser.run(script, f".pane.{side}", selector)
    return x, y


def test_a_transformer_of_1400_nodes_answers_within_seconds(browser: Browser, big: Path) -> None:
    assert big.stat().st_size < 5_000_000
    assert browser.open(big) < 5
    browser.wait("document.querySelector('.pane.before .item.node') && document.querySelector('.pane.after .item.node')")
    assert browser.run("return performance.now()") < 5000  # and so much later the first nodes are there
    assert browser.all("#panel .operators tr")
    assert browser.errors() == []


def test_nothing_is_fetched(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    asked = browser.fetched()
    assert asked[0] == big.as_uri()
    assert all(address.startswith(("blob:", "data:", "chrome")) for address in asked[1:]), asked


def test_everything_is_laid_out_in_the_end(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    assert not browser.all("#progress")[0].is_displayed()
    assert browser.all(".placeholders rect") == []
    browser.press("0")
    browser.settle()
    assert browser.all(".pane.before .blocks.gone") and browser.all(".pane.after .blocks.made")
    assert browser.text(".pane.before .captions").startswith("layer.")


def test_search_goes_from_hit_to_hit(browser: Browser, big: Path) -> None:
    browser.open(big)
    browser.type("#search", "op:softmax", ENTER)
    assert browser.text("#hits") == f"1 of {LAYERS}"
    browser.settle()
    assert browser.text("#details h3").startswith("Softmax")
    assert "/layer.0/Softmax" in browser.text("#details")
    for side in ("before", "after"):
        x, y = centre(browser, side, ".over .chosen")
        assert abs(x) < 0.5 and abs(y) < 0.5
    browser.type("#search", ENTER)
    assert browser.text("#hits") == f"2 of {LAYERS}"
    assert "/layer.1/Softmax" in browser.text("#details")
    browser.run("document.getElementById('search').select()")
    browser.type("#search", "no such node")
    assert browser.text("#hits") == "none"


def test_zooming_one_graph_zooms_the_other(browser: Browser, big: Path) -> None:
    browser.open(big)
    before = browser.transform("before"), browser.transform("after")
    browser.click("[data-act=in]")
    after = browser.transform("before"), browser.transform("after")
    assert after[0][2] == pytest.approx(before[0][2] * 1.3)
    assert after[1][2] == pytest.approx(after[0][2])
    for _ in range(6):
        browser.click("[data-act=out]")
    browser.settle()
    assert browser.all(".pane.before .blocks") and not browser.all(".pane.before .item")  # from far away: blocks


def test_the_other_graph_follows_unless_told_not_to(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    start = browser.transform("before"), browser.transform("after")
    browser.scroll(".pane.before svg", 3000)
    moved = browser.transform("before"), browser.transform("after")
    assert moved[0][1] < start[0][1] - 2000
    assert start[1][1] - 3000 < moved[1][1] < start[1][1] - 200  # the graph after is shorter
    browser.click("[data-act=link]")
    browser.scroll(".pane.before svg", 1000)
    assert browser.transform("after") == moved[1]
    assert browser.transform("before")[1] < moved[0][1]


def test_choosing_a_rewrite_shows_both_of_its_sides(browser: Browser, big: Path) -> None:
    browser.open(big)
    browser.click("[data-tab=changes]")
    browser.click("details[data-rule=reshape-to-known-shape] > summary")
    browser.wait("document.querySelectorAll('details[open] .rewrite').length > 5")
    browser.click("details[data-rule=reshape-to-known-shape] .rewrite", 5)
    browser.settle()
    assert len(browser.all(".pane.before .over .marked")) > 1
    assert len(browser.all(".pane.after .over .marked")) == 1
    x, y = centre(browser, "after", ".over .marked")
    assert abs(x) < 0.2 and abs(y) < 0.2
    assert "reshape-to-known-shape" in browser.text("#details")
    first = browser.text("#current")
    browser.press("n")
    assert browser.text("#current") != first
    browser.press("p")
    assert browser.text("#current") == first
    browser.click("details[data-rule=reshape-to-known-shape] .plain")
    assert len(browser.all(".pane.after .over .marked")) > LAYERS


def test_a_long_chain_of_rewrites_is_followed_to_its_ends(browser: Browser, tmp_path: Path) -> None:
    length = 20_000  # calls within calls would overflow the stack; each rewrite followed by itself would take minutes
    held = Held(html := reported(parsed(PLAIN)).to_html())
    number, rule, pass_name, at, *_ = held.data["rewrites"][0]
    chain = [[number + place, rule, pass_name, at, [], [], [place - 1]] for place in range(length)]
    chain[0][4:] = [[0], [], []]
    chain[-1][5] = [0]
    page = tmp_path / "page.html"
    page.write_text(html.replace(json.dumps(held.data["rewrites"], separators=(",", ":")), json.dumps(chain)))
    browser.open(page, until="all")
    for key in ("n", "p"):  # the first one and the last one
        browser.press(key)
        browser.settle()
        assert [len(browser.all(f".pane.{side} .over .marked")) for side in ("before", "after")] == [1, 1]
    browser.press(ESCAPE)
    browser.click("[data-tab=changes]")
    browser.click("details.rule > summary")
    browser.click("details.rule .origin .plain")
    browser.settle()
    assert browser.text("#spoken") == f"{length} places marked"
    assert [len(browser.all(f".pane.{side} .over .marked")) for side in ("before", "after")] == [1, 1]
    assert browser.errors() == []


def test_near_misses_lead_to_their_nodes(browser: Browser, big: Path) -> None:
    browser.open(big)
    browser.click("[data-tab=near]")
    browser.click("#near summary")
    browser.wait("document.querySelectorAll('#near .rewrite').length")
    operator = browser.all("#near .rewrite")[0].text.split()[0]
    browser.click("#near .rewrite")
    browser.settle()
    assert browser.text("#details h3").startswith(operator)
    assert browser.all(".pane.after .over .chosen")


def test_every_tab_has_something_to_say(browser: Browser, big: Path) -> None:
    browser.open(big)
    for tab, words in {"summary": "Identity", "changes": "fold-constants", "near": "push-transposes", "checks": "Not asked for"}.items():
        browser.click(f"[data-tab={tab}]")
        assert words in browser.text(f"#{tab}")
    assert browser.errors() == []


def test_what_was_checked_is_told_though_no_pass_ran(browser: Browser, tmp_path: Path) -> None:
    report = Report()
    graphopt.optimize(parsed(), pipeline="", freeze={"N": 2}, verify=True, report=report)
    report.output = "out.onnx"
    report.warnings.append("beware of the model")
    browser.open(written(report, tmp_path / "page.html"))
    assert "Result" in browser.text("#summary")
    browser.click("[data-tab=checks]")
    said = browser.text("#checks")
    assert "equal bits" in said and "beware of the model" in said and "Inputs, outputs" in said
    assert len(browser.all("[data-tab=checks] .alarm")) == 1


def test_two_models_that_nobody_ran_anything_on_were_not_checked(browser: Browser, tmp_path: Path) -> None:
    report = between(parsed(PLAIN), parsed(PLAIN))
    report.output = "other.onnx"
    browser.open(written(report, tmp_path / "page.html"))
    assert "Compared with" in browser.text("#summary")
    browser.click("[data-tab=checks]")
    assert [heading.text.lower() for heading in browser.all("#checks h2")] == ["signature"]


def test_arrow_keys_walk_from_node_to_node(browser: Browser, big: Path) -> None:
    browser.open(big)
    browser.type("#search", "op:softmax", ENTER, ESCAPE)
    browser.press(DOWN)
    assert browser.text("#details h3").startswith("MatMul")
    assert browser.text("#spoken").startswith("MatMul /layer.0")
    browser.press(ESCAPE)
    assert not browser.all("#details")[0].is_displayed()


def test_one_side_alone_and_both_again(browser: Browser, big: Path) -> None:
    browser.open(big)
    browser.click("[data-mode=after]")
    assert [pane.is_displayed() for pane in browser.all(".pane")] == [False, True]
    browser.click("[data-mode=both]")
    assert [pane.is_displayed() for pane in browser.all(".pane")] == [True, True]


def test_what_is_chosen_on_one_side_is_in_sight_once_the_other_is_shown(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    browser.click("[data-mode=after]")
    browser.type("#search", "op:softmax", ENTER, ENTER)
    browser.settle()
    browser.click("[data-mode=both]")
    scales = [browser.transform(side)[2] for side in ("before", "after")]
    assert scales[0] == pytest.approx(scales[1])
    for side in ("before", "after"):
        x, y = centre(browser, side, ".over .chosen")
        assert abs(x) < 0.1 and abs(y) < 0.1
    assert browser.errors() == []  # no transform of a graph without a size


def test_a_side_that_is_hidden_on_its_way_has_arrived_when_it_is_shown(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    browser.press("p")
    goal = browser.transform("before"), browser.transform("after")
    browser.open(big, until="all")
    browser.run("""
        document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'p', bubbles: true}));
        for (const mode of ['after', 'both']) document.querySelector(`[data-mode=${mode}]`).click();""")
    assert [browser.transform("before"), browser.transform("after")] == [pytest.approx(each, abs=1) for each in goal]
    assert browser.errors() == []


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("key", ["n", "p"])
def test_a_rewrite_is_shown_from_one_side_as_from_both(browser: Browser, big: Path, mode: str, key: str) -> None:
    browser.open(big, until="all")
    browser.press(key)
    goal = browser.transform("before"), browser.transform("after")
    browser.open(big, until="all")
    browser.click(f"[data-mode={mode}]")
    browser.settle()
    browser.press(key)
    assert [browser.transform("before"), browser.transform("after")] == [pytest.approx(each, abs=1) for each in goal]


def test_a_window_that_changes_its_size_does_not_stop_what_moves(browser: Browser, big: Path) -> None:
    browser.open(big, until="all")
    browser.press("p")
    goal = browser.transform("before")
    browser.open(big, until="all")
    browser.run("""
        document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'p', bubbles: true}));
        document.getElementById('panel').style.display = 'none';""")
    x, y, scale = browser.transform("before")
    assert (y, scale) == pytest.approx(goal[1:], abs=1)
    assert x > goal[0] + 10  # the middle went to the right


def test_subgraphs_open_and_close(browser: Browser, branches: Path) -> None:
    browser.open(branches, until="all")
    owner = next(item for item in browser.all(".item.node") if item.text.startswith("If"))
    browser.double_click(owner)
    browser.wait("document.querySelector('.crumbs').innerText.includes('then_branch of choice')")
    browser.wait("document.querySelectorAll('.item.node').length == 1")
    assert [item.text.split()[0] for item in browser.all(".item.captured")] == ["b"]
    browser.press(BACKSPACE)
    browser.wait("document.querySelector('.crumbs').hidden")
    assert "choice" in browser.text("#details")
    browser.type("#search", "inside", ENTER)  # in the function
    browser.wait("document.querySelector('.crumbs').innerText.includes('function local.scale')")
    assert browser.errors() == []


def test_constants_are_drawn_with_what_reads_them(browser: Browser, branches: Path) -> None:
    browser.open(branches)
    browser.type("#search", "op:constant", ENTER)
    browser.settle()
    assert "= 2.0" in browser.text("#details") or "float32[1]" in browser.text("#details")
    assert browser.all(".over .chosen")


def test_names_from_a_model_do_nothing(browser: Browser, tmp_path: Path) -> None:
    report = reported(renamed(parsed(PLAIN), "last", EVIL))
    report.source = f"{EVIL}.onnx"
    report.warnings.append(EVIL)
    browser.open(written(report, tmp_path / "evil.html"), until="all")
    for tab in ("summary", "changes", "near", "checks"):
        browser.click(f"[data-tab={tab}]")
    browser.type("#search", "relu", ENTER)
    assert EVIL in browser.text("#details")
    assert browser.all("#evil") == []
    assert browser.errors() == []


def test_a_model_without_nodes_and_one_of_one_node(browser: Browser, tmp_path: Path) -> None:
    for body in ("", "y = Relu(x)"):
        text = f'<ir_version: 8, opset_import: ["" : 17]> main (float[2] x) => (float[2] {"y" if body else "x"}) {{ {body} }}'
        browser.open(written(reported(parsed(text)), tmp_path / "page.html"), until="all")
        browser.press("n", "0", "+")
        assert browser.errors() == []


def test_it_is_dark_where_the_system_is(browser: Browser, branches: Path) -> None:
    grounds = []
    for dark in (False, True):
        browser.open(branches, dark=dark)
        [red, green, blue] = browser.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
        grounds.append(red + green + blue)
    assert grounds[0] > 600 and grounds[1] < 200


def test_it_prints_its_tables(browser: Browser, big: Path) -> None:
    browser.open(big)
    assert browser.printed().startswith(b"%PDF")

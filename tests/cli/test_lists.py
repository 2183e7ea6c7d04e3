"""`graphopt passes`, `rules`, `explain`, `verify-rules`, `compare`: what they print, as text and as JSON, and their exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from graphopt.cli.app import COMMANDS
from graphopt.match.rule import Rule
from graphopt.pipeline import registry as registry_module
from graphopt.pipeline.registry import Registry
from graphopt.verify import selfcheck
from graphopt.verify.selfcheck.report import RuleReport
from tests.api.models import IDENTITIES, write
from tests.pipeline.fakes import registry

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the passes of tests/pipeline/fakes.py are installed."""
    monkeypatch.setattr(registry_module, "installed", registry)


def page_about(name: str, command: Command, capsys: Captured) -> str:
    """What `graphopt passes --help NAME` prints."""
    assert command("passes", "--help", name) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("fakes")
def test_passes_are_listed_in_the_order_of_the_levels(command: Command, capsys: Captured) -> None:
    assert command("passes") == 0
    assert capsys.readouterr().out == """\
level  pass           what it does
1      take-all       Has an option of each type.
1      drop-relu      Removes the last Relu whose output is not the graph's; one each time, so that it needs a loop.
2      fuse-relu      Relu(Relu(x))  ->  Relu(x)
2      neg-to-relu    Neg becomes Relu, which undoes the other's work.
-      needs-option   Has an option without default.
-      relu-to-neg    Relu becomes Neg, which is wrong.
-      break          Raises at the first node.
-      corrupt        Leaves a broken graph behind: a value whose readers are not counted.
-      forget-return  Returns nothing.
"""


@pytest.mark.usefixtures("fakes")
def test_passes_as_json(command: Command, capsys: Captured) -> None:
    assert command("passes", "--json") == 0
    first, *_ = json.loads(capsys.readouterr().out)
    assert list(first) == [
        "name", "level", "summary", "doc", "options", "rules", "exactness", "opsets", "changes_signature", "other_names", "after",
        "before", "plugin", "class",
    ]  # fmt: skip
    assert first["options"][4] == {
        "name": "max-growth",
        "takes": "a size like 4096, 64kB or 1MiB",
        "default": "0",
        "doc": "how much the file may grow",
    }


@pytest.mark.usefixtures("fakes")
def test_the_page_about_a_pass(command: Command, capsys: Captured) -> None:
    page = page_about("take-all", command, capsys)
    assert page.startswith("take-all   (level 1, plug-in graphopt, tests.pipeline.fakes:TakeAll)\n\nHas an option of each type.\n\nBefore:")
    assert "  max-growth=0   how much the file may grow: a size like 4096, 64kB or 1MiB\n" in page
    assert page_about("fuse-relu", command, capsys).endswith("Rules: relu-relu\n\nOpsets: 7 and newer. Exactness: exact.\n")
    assert command("passes", "--help") == 0
    assert capsys.readouterr().out.startswith("Usage: graphopt passes [OPTIONS]")
    assert command("passes", "take-all", "fuse-relu") == 0
    assert capsys.readouterr().out == f"{page}\n{page_about('fuse-relu', command, capsys)}"
    assert command("passes", "--json", "fuse-relu") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["fuse-relu"]
    assert command("passes", "take-al") == 2
    assert "did you mean 'take-all'?" in capsys.readouterr().err
    assert command("passes", "--help", "take-al") == 2
    assert "did you mean 'take-all'?" in capsys.readouterr().err


def test_without_any_plugin_the_lists_are_empty(command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "installed", Registry)
    assert command("passes") == 0
    assert command("rules") == 0
    assert capsys.readouterr() == ("", "")
    assert command("passes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert command("verify-rules") == 0
    assert capsys.readouterr().out == "0 of 0 rules hold\n"


def test_our_own_passes_and_rules_can_all_be_listed(command: Command, capsys: Captured) -> None:
    assert command("passes", "--json") == 0
    passes = json.loads(capsys.readouterr().out)
    assert command("rules", "--json") == 0
    said = capsys.readouterr()
    rules = json.loads(said.out)
    assert said.err == ""
    assert all(one["summary"] and one["doc"] for one in passes)
    assert {name for one in passes for name in one["rules"]} <= {one["name"] for one in rules}
    assert all(Path(one["file"]).is_file() and one["line"] > 0 and one["summary"] for one in rules)


def test_the_page_about_a_name_of_another_tool(command: Command, capsys: Captured) -> None:
    page = page_about("fuse_bn_into_conv", command, capsys)
    assert page.startswith("fuse_bn_into_conv of onnxoptimizer and onnxsim is fuse-conv-bn here\n\nfuse-conv-bn   (level 1, ")
    assert "\nOpsets: 7 and newer. Exactness: rounding.\nOther tools call it fuse_bn_into_conv, ConvBNFusion, " in page
    assert page_about("split_init", command, capsys).startswith("split_init of onnxoptimizer and onnxsim is not built: ")
    assert command("passes", "--help", "fuse_bn_into_con") == 2
    assert "did you mean 'fuse_bn_into_conv'?" in capsys.readouterr().err


@pytest.mark.usefixtures("fakes")
def test_rules_are_listed(command: Command, capsys: Captured) -> None:
    assert command("rules") == 0
    assert capsys.readouterr().out == """\
rule       what it rewrites          exactness  in the pass
relu-relu  Relu(Relu(x)) -> Relu(x)  exact      fuse-relu
neg-neg    Neg(Neg(x)) -> x          exact      -
"""


@pytest.mark.usefixtures("fakes")
def test_explain_says_what_stopped_a_rule(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, IDENTITIES.replace("d = Add(b, c)", "d = Relu(b)").replace("(float[N, 3] y)", "(float[N, 3] y, float[N, 3] d)"))
    assert command("explain", "model.onnx", "--rule", "relu-relu") == 0
    assert capsys.readouterr().out.startswith("After level1 (--after '' looks at the model as it is):\nrelu-relu at ")
    assert command("explain", "model.onnx", "--rule", "relu-relu", "--json") == 0
    (place,) = json.loads(capsys.readouterr().out)["relu-relu"]
    assert place["operator"] == "Relu"
    assert not place["applies"]
    assert "output" in place["reason"]
    assert command("explain", "model.onnx") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert command("explain", "model.onnx", "--rule", "fuse-relu") == 2
    assert "fuse-relu is a pass; its rules: relu-relu" in capsys.readouterr().err
    assert command("explain", "model.onnx", "--rule", "relu-rulu") == 2
    assert "no rule is called 'relu-rulu'; did you mean 'relu-relu'?" in capsys.readouterr().err


@pytest.mark.usefixtures("fakes")
def test_explain_after_a_pipeline(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, IDENTITIES.replace("d = Add(b, c)", "d = Relu(b)"))
    assert command("explain", "model.onnx", "--rule", "relu-relu", "--after", "") == 0
    assert "it applies" in capsys.readouterr().out
    assert command("explain", "model.onnx", "--rule", "relu-relu", "--after", "fuse-relu") == 0
    assert "it applies" not in capsys.readouterr().out


def test_explain_shows_a_rule_what_is_there_when_it_fires(command: Command, tmp_path: Path, capsys: Captured) -> None:
    """Everything else of level 1 comes first: here what the normalization reads is no constant in the file."""
    computed = """
        <ir_version: 10, opset_import: ["" : 20]>
        g (float[1,2,3,3] x) => (float[1,2,3,3] y) <float[2,2,1,1] w = {1,2,3,4}, float[2] b = {1,2}, float[2] one = {1,1}> {
            t = Conv(x, w)
            s = Abs(b)
            y = BatchNormalization(t, s, b, b, one)
        }
    """
    write(tmp_path, computed)
    assert command("explain", "model.onnx", "--rule", "conv-bn-to-conv") == 0
    out = capsys.readouterr().out
    assert out.startswith("After level1, -fuse-conv-bn (--after '' looks at the model as it is):\n") and "it applies" in out
    assert command("explain", "model.onnx", "--rule", "conv-bn-to-conv", "--after", "") == 0
    assert "must be a constant" in capsys.readouterr().out


@pytest.mark.usefixtures("fakes")
def test_the_exit_status_of_verify_rules_says_whether_all_hold(
    command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(rules: Iterable[Rule], *, seed: int, effort: str) -> Iterator[RuleReport]:
        assert (seed, effort) == (0, "normal")
        return (RuleReport(rule.name, "", 0, "exact", error="" if rule.name == "neg-neg" else "is wrong") for rule in rules)

    monkeypatch.setattr(selfcheck, "check_rules", fake)  # the check itself takes seconds, and has tests of its own
    assert command("verify-rules", "neg-neg") == 0
    assert capsys.readouterr().out.endswith("1 of 1 rules hold\n")
    assert command("verify-rules") == 1
    assert capsys.readouterr().out.endswith("1 of 2 rules hold; these do not: relu-relu\n")
    assert command("verify-rules", "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert not data["holds"]
    assert [rule["ok"] for rule in data["rules"]] == [False, True]
    assert command("verify-rules", "neg-nag") == 2


def test_the_exit_status_of_compare_says_whether_they_agree(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    write(tmp_path, IDENTITIES.replace("Add(b, c)", "Sub(b, c)"), "other.onnx")
    assert command("compare", "model.onnx", "model.onnx", "--exact") == 0
    assert capsys.readouterr().out.startswith("equal bits: model.onnx and model.onnx")
    assert command("compare", "model.onnx", "other.onnx", "--json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "different"
    for pair in (("model.onnx", "missing.onnx"), ("missing.onnx", "model.onnx")):
        assert command("compare", *pair) == 1
        assert capsys.readouterr() == ("", "error: missing.onnx: does not exist\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command: Command, capsys: Captured, name: str) -> None:
    assert command(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: graphopt {name}")


def test_an_unknown_command_is_told_the_near_name(command: Command, capsys: Captured) -> None:
    assert command("optimise") == 2
    assert "no command is called 'optimise'; did you mean 'optimize'?" in capsys.readouterr().err


def test_an_interrupted_reader_is_no_error() -> None:
    program = "import sys; from graphopt.cli import main; sys.argv = ['graphopt', 'passes', '--json']; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() in (0, 141)
    assert "Traceback" not in errors and "BrokenPipe" not in errors


def test_help_imports_nothing_that_it_does_not_need() -> None:
    program = (
        "import sys; from graphopt.cli import main; sys.argv = ['graphopt', '--help']; main();"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'onnx', 'rich', 'networkx', 'dataclasses', 'importlib.metadata')))"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode == 0

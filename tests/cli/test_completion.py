"""What shells complete, asked as shells ask; that nothing heavy is imported for it, and that bash takes the script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from graphopt.cli.app import COMMANDS, graphopt, run
from graphopt.cli.onnx_opt import onnx_opt
from graphopt.pipeline.registry import installed

BASH = shutil.which("bash")
Captured = pytest.CaptureFixture[str]
Asked = Callable[..., list[str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Asked:
    """What completes a line of words, the last of them half typed."""

    def ask(*words: str) -> list[str]:
        program: click.Command = graphopt if words[0] == "graphopt" else onnx_opt
        with monkeypatch.context() as patch:
            patch.setenv(f"_{words[0].replace('-', '_').upper()}_COMPLETE", "bash_complete")
            patch.setenv("COMP_WORDS", " ".join(words))
            patch.setenv("COMP_CWORD", str(len(words) - 1))
            assert run(program, words[0]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        return [line.partition(",")[2] for line in told.out.splitlines() if line]

    return ask


def test_commands_and_options(asked: Asked) -> None:
    assert asked("graphopt", "''") == list(COMMANDS)
    assert asked("graphopt", "verify-r") == ["verify-rules"]
    assert asked("graphopt", "diff", "--exit") == ["--exit-code"]
    assert "--print-after-change" in asked("onnx-opt", "--print-after")
    assert asked("graphopt", "completion", "''") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("graphopt optimize --only fuse-conv-b", ["fuse-conv-bn"]),
        ("graphopt optimize a.onnx --skip push-tr", ["push-transposes"]),
        ("graphopt passes --help fuse-conv-b", ["fuse-conv-bn"]),
        ("graphopt passes fuse-conv-b", ["fuse-conv-bn"]),
        ("graphopt explain a.onnx --rule conv-bn-", ["conv-bn-to-conv"]),
        ("graphopt verify-rules conv-bn-", ["conv-bn-to-conv"]),
        ("graphopt optimize --target tens", ["tensorrt"]),
        ("graphopt lint --target openv", ["openvino"]),
        ("graphopt targets tens", ["tensorrt"]),
        ("graphopt optimize -p fuse-conv-b", ["fuse-conv-bn"]),
        ("graphopt optimize -p 'level1, fixpoint(fuse-conv-b", ["level1, fixpoint(fuse-conv-bn"]),
        ("graphopt optimize -p 'level1, -fuse-conv-b", ["level1, -fuse-conv-bn"]),
        ("graphopt optimize -p 'fold-constants{max-growth=1MiB max-t", ["fold-constants{max-growth=1MiB max-tensor="]),
        ("graphopt optimize -p 'when{target=[tensorrt, openv", ["when{target=[tensorrt, openvino"]),
        ("graphopt optimize -p 'level1, whe", ["level1, when{target="]),
        ("graphopt explain a.onnx --after fuse-conv-b", ["fuse-conv-bn"]),
        ("graphopt map a.onnx -p fuse-conv-b", ["fuse-conv-bn"]),
        ("onnx-opt a.onnx --fuse-conv-b", ["--fuse-conv-bn"]),
        ("onnx-opt --fold-constants --fuse-conv-b", ["--fuse-conv-bn"]),
        ("onnx-opt --fold-constants.max-t", ["--fold-constants.max-tensor="]),
        ("onnx-opt -p fuse-conv-b", ["fuse-conv-bn"]),
        ("onnx-opt -O", ["-O0", "-O1", "-O2", "-O3"]),
        ("graphopt optimize --only no-such-pass-", []),
    ],
)
def test_names(line: str, expected: list[str], asked: Asked) -> None:
    plain, quote, quoted = line.partition("'")
    assert asked(*plain.split(), *([quote + quoted] if quote else [])) == expected


def test_an_option_and_its_value_with_a_sign_between_as_bash_gives_them(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for name, value in (
        ("_GRAPHOPT_COMPLETE", "bash_complete"), ("COMP_WORDS", "graphopt\noptimize\n--target\n=\ntens"), ("COMP_CWORD", "4"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    assert run(graphopt, "graphopt") == 0
    assert capsys.readouterr().out == "plain,tensorrt\n"


def test_nothing_is_said_about_a_line_that_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for name, value in (("_GRAPHOPT_COMPLETE", "bash_complete"), ("COMP_WORDS", "graphopt no-such-command --on"), ("COMP_CWORD", "2")):
        monkeypatch.setenv(name, value)
    assert run(graphopt, "graphopt") == 1
    assert capsys.readouterr() == ("", "")


def test_every_pass_target_and_rule_is_known(asked: Asked) -> None:
    known = installed()
    assert set(asked("graphopt", "optimize", "--only", "''")) == set(known.passes)
    assert asked("graphopt", "targets", "''") == list(known.targets)
    assert set(known.rules()) <= set(asked("graphopt", "verify-rules", "''"))


def test_files_are_left_to_the_shell(asked: Asked) -> None:
    for line in ("graphopt optimize", "graphopt diff a.onnx", "onnx-opt", "graphopt optimize --plugin", "graphopt optimize -o"):
        assert asked(*line.split(), "mod") == ["mod"]


def test_a_plugin_on_the_line_is_asked_too_and_a_broken_one_is_no_matter(asked: Asked, tmp_path: Path) -> None:
    assert asked("graphopt", "optimize", "--plugin", "tests.cli.strangers:OPTIONS", "--only", "take-") == ["take-all"]
    assert asked("graphopt", "optimize", "--plugin", str(tmp_path / "gone.py"), "--only", "fuse-conv-b") == ["fuse-conv-bn"]


@pytest.mark.parametrize("shell", ["zsh_complete", "fish_complete"])
def test_other_shells_are_told_what_each_name_is(shell: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("_GRAPHOPT_COMPLETE", shell)
    monkeypatch.setenv("COMP_WORDS", "graphopt optimize --only fuse-conv-b")
    monkeypatch.setenv("COMP_CWORD", "3" if shell.startswith("zsh") else "fuse-conv-b")
    assert run(graphopt, "graphopt") == 0
    said = capsys.readouterr().out
    assert "fuse-conv-bn" in said
    assert "BatchNormalization" in said


def test_no_pass_and_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from graphopt.cli import main; assert main() == 0\n"
        "heavy = [name for name in sys.modules if name in ('numpy', 'onnx', 'rich') or name.startswith('graphopt.patterns')\n"
        "         or name.startswith('graphopt.passes.fuse')]\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    for words in ("graphopt optimize --only fuse-conv-b", "graphopt explain --rule conv-bn-"):
        variables = {"_GRAPHOPT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"}
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("plain,")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_for_both_commands_and_says_where_it_goes(shell: str, capsys: Captured) -> None:
    assert run(graphopt, "graphopt", ["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"graphopt completion {shell}" in script.splitlines()[0]
    assert f"_GRAPHOPT_COMPLETE={shell}_complete" in script
    assert f"_ONNX_OPT_COMPLETE={shell}_complete" in script


# A fresh machine may have sh alone, and no stand-in tells what bash makes of `complete`; the words are looked at above, anywhere.
@pytest.mark.skipif(BASH is None, reason="what bash makes of the script only bash can tell, and there is none")
def test_bash_takes_the_script(tmp_path: Path) -> None:
    program = tmp_path / "graphopt"
    program.write_text(f"#!{sys.executable}\nfrom graphopt.cli import main\nmain()\n")
    program.chmod(0o755)
    words = 'COMP_WORDS=(graphopt optimize --only fuse-conv-b); COMP_CWORD=3; _graphopt_completion "$1"; echo "${COMPREPLY[@]}"'
    script = f'eval "$("$1" completion bash)"; {words}; complete -p graphopt onnx-opt'
    asked = [str(BASH), "--noprofile", "--norc", "-c", script, "bash", str(program)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "fuse-conv-bn",
        "complete -o nosort -F _graphopt_completion graphopt",
        "complete -o nosort -F _onnx_opt_completion onnx-opt",
    ]

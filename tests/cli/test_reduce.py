"""`graphopt reduce`: what stays is a valid model that still fails; what it says; what an interruption leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import pytest
from onnx import ModelProto, helper, numpy_helper

from graphopt.io.walking import nodes_in
from graphopt.verify.commands import Command as Shell
from graphopt.verify.failing import Validity
from graphopt.verify.messages import copied, drop_unread
from graphopt.verify.simplify import fed, weights
from graphopt.verify.skeleton import Skeleton
from tests.api.models import model, write
from tests.cli import planted

Command = Callable[..., int]
HAS_SOFTMAX = "! grep -q Softmax {}"  # the name of an operator stands in the file
SOFTMAX = """
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 6] x, float[6] b) => (float[N, 6] y, float[N, 6] z) <float[6] w = {1, 2, 3, 4, 5, 6}> {
   a = Mul(x, w)   c = Relu(a)   d = Neg(c)   e = Abs(d)
   [it] f = Softmax<axis = -1>(e)
   g = Add(f, b)   h = Exp(g)   i = Tanh(h)   j = Neg(i)   y = Identity(j)   z = Sqrt(e)
}
"""
LOOP = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
agraph (float[3] x, int64 n) => (float[3] y) {
   s = Cast<to = 9>(n)
   a = Abs(x)   b = Neg(a)   c = Exp(b)
   d = Loop(n, s, c) <body = again (int64 i, bool k, float[3] v) => (bool k2, float[3] v2) {
      k2 = Identity(k)   p = Abs(v)   q = Neg(p)   r = Softmax(q)   t = Exp(r)   u = Tanh(t)   v2 = local.twice(u)
   }>
   e = Relu(d)   y = Tanh(e)
}
<domain: "local", opset_import: ["" : 17]>
twice (m) => (o) { o = Add(m, m) }
"""


def small(path: Path = Path("small.onnx")) -> ModelProto:
    """What was written, which must be valid and fail."""
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    assert Shell(HAS_SOFTMAX).run(path).status == 1
    return made


def test_what_a_command_fails_on_is_kept(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = write(tmp_path, SOFTMAX)
    before = given.read_bytes()
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", HAS_SOFTMAX) == 0
    assert [(node.op_type, node.name) for node in small().graph.node] == [("Softmax", "it")]
    out = capsys.readouterr().out
    assert out.startswith("model.onnx -> small.onnx   (11 -> 1 nodes, ")
    assert "[it] f = Softmax" in out
    assert out.rstrip().endswith("the command: exit status 1")
    assert given.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "small.onnx"]


def test_a_function_that_must_stay_is_counted_and_explained(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, LOOP)
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", "! grep -q twice {}") == 0
    assert "(15 -> 2 nodes, " in capsys.readouterr().out  # a call, and the node of the function
    assert command("reduce", "--help") == 0
    assert "local functions shrink once they are inlined" in " ".join(capsys.readouterr().out.split())


def branches(place: str) -> ModelProto:
    """An If whose big weight is stored in the main graph, in a branch, as a constant of a branch, in both branches or in a function."""
    weight = numpy_helper.from_array(np.ones(512, np.float32), "w")
    constant = [helper.make_node("Constant", [], ["w"], value=weight)]
    result = helper.make_tensor_value_info("r", 1, [512])
    uses = [helper.make_node("Add", ["x", "w"], ["r"])]
    then = helper.make_graph((constant if place == "constant" else []) + uses, "t", [], [result], [weight] * (place in ("branch", "both")))
    other = helper.make_node("Add", ["x", "w"], ["r"]) if place == "both" else helper.make_node("Neg", ["x"], ["r"])
    if place == "function":
        then = helper.make_graph([helper.make_node("f", ["x"], ["r"], domain="local")], "t", [], [result])
    otherwise = helper.make_graph([other], "e", [], [result], [weight] * (place == "both"))
    given = [helper.make_tensor_value_info("x", 1, [512]), helper.make_tensor_value_info("c", 9, [])]
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=otherwise)
    graph = helper.make_graph([node], "g", given, [helper.make_tensor_value_info("y", 1, [512])], [weight] * (place == "main"))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "f", ["x"], ["r"], constant + uses, opsets[:1])
    return helper.make_model(graph, opset_imports=opsets, functions=[function] * (place == "function"), ir_version=8)


@pytest.mark.parametrize(("place", "level"), [("main", 2), ("branch", 2), ("constant", 2), ("both", 1), ("function", 1)])
def test_what_is_made_is_valid_wherever_big_weights_are(tmp_path: Path, place: str, level: int) -> None:
    message = branches(place)
    onnx.checker.check_model(message, full_check=True)
    onnx.save(message, tmp_path / "model.onnx")
    skeleton = Skeleton.read(tmp_path / "model.onnx")
    assert skeleton.contents
    validity = Validity(skeleton)
    assert validity.level == level
    assert validity.holds(skeleton.message)
    wrong = copied(skeleton.message)
    wrong.graph.node[0].input[0] = "nothing"
    assert not validity.holds(wrong)


def test_an_invalid_if_is_reduced_too(command: Command, tmp_path: Path) -> None:
    message = branches("main")
    for attribute in message.graph.node[0].attribute:
        attribute.g.output.append(attribute.g.output[0])
    onnx.save(message, tmp_path / "model.onnx")
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", "! grep -q If {}") == 0
    assert [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node] == ["If"]


def test_text_that_is_no_model_is_told_in_words(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnxtxt").write_text('<ir_version: 8, opset_import: ["" : 17]>\ng (float[3] x) => (float[3] y) { y = Neg(x }')
    assert command("reduce", "model.onnxtxt", "-o", "small.onnx", "--keep", "false") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "model.onnxtxt: the text is no ONNX model: line 2, column" in said
    assert "b'" not in said


def test_many_initializers_go_at_once() -> None:
    count = 600
    few = [numpy_helper.from_array(np.zeros(3, np.float32), f"s{i}") for i in range(count)]
    many = [numpy_helper.from_array(np.zeros(300, np.float32), f"w{i}") for i in range(count)]
    reads = [[each.name for each in stored] for stored in (few, many)]
    nodes = [helper.make_node("Concat", reads[0], ["y"], axis=0), helper.make_node("Sum", reads[1], ["z"])]
    port = helper.make_tensor_value_info("y", 1, [count * 3])
    message = helper.make_model(helper.make_graph(nodes, "g", [], [port], few + many))
    made = fed(message, weights(message, Skeleton(message)))
    assert (len(made.graph.input), len(made.graph.initializer)) == (count, count)
    drop_unread(message)
    assert len(message.graph.initializer) == count


def test_text_in_and_out(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnxtxt").write_text(SOFTMAX)
    assert command("reduce", "model.onnxtxt", "-o", "small.onnxtxt", "--keep", HAS_SOFTMAX) == 0
    made = onnx.parser.parse_model((tmp_path / "small.onnxtxt").read_text())
    assert [node.op_type for node in made.graph.node] == ["Softmax"]
    assert capsys.readouterr().err == ""


def test_text_that_does_not_hold_the_failure_is_told(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = model(SOFTMAX)
    other = np.array([0x7FC12345] * 6, np.uint32).view(np.float32)  # a NaN with bits of its own
    stored.graph.initializer[0].CopyFrom(numpy_helper.from_array(other, "w"))
    onnx.save(stored, tmp_path / "model.onnx")
    bits = "".join(f"\\x{byte:02X}" for byte in other[:1].tobytes())
    keep = f"! LC_ALL=C grep -qaP '{bits}' {{}}"
    assert command("reduce", "model.onnx", "-o", "small.onnxtxt", "--keep", keep) == 0
    assert "small.onnxtxt does not fail, or cannot be read" in capsys.readouterr().err


def test_graphs_inside_and_functions(command: Command, tmp_path: Path) -> None:
    write(tmp_path, LOOP)
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", HAS_SOFTMAX) == 0
    assert [node.op_type for node in small().graph.node] == ["Softmax"]


def test_a_body_is_thinned_out_where_its_owner_has_to_stay(command: Command, tmp_path: Path) -> None:
    write(tmp_path, LOOP)
    keep = f"{HAS_SOFTMAX} && exit 0; ! grep -q Loop {{}}"
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", keep) == 0
    made = small()
    assert [node.op_type for node in made.graph.node] == ["Loop"]
    assert {node.op_type for node in nodes_in(made.graph)} <= {"Loop", "Softmax", "Identity"}


def test_external_data_and_big_weights(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = model(SOFTMAX.replace("6", "600"))
    stored.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.arange(600, dtype=np.float32), "w"))
    onnx.save_model(stored, tmp_path / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", f"{HAS_SOFTMAX} && exit 0; ! grep -q Mul {{}}") == 0
    made = small()
    assert [node.op_type for node in made.graph.node] in (["Mul", "Softmax"], ["Softmax", "Mul"])
    assert not any(each.external_data for each in made.graph.initializer)
    assert sum(np.prod(each.dims) for each in made.graph.initializer) <= 1


def test_exit_status_and_output_choose_the_failure(command: Command, tmp_path: Path) -> None:
    """The command fails in two ways; without Neg in the other one."""
    write(tmp_path, SOFTMAX)
    line = "grep -q Neg {} || exit 4; grep -q Softmax {} || exit 0; echo both; exit 3"
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", line, "--status", "3") == 0
    assert sorted(node.op_type for node in small().graph.node) == ["Neg", "Softmax"]
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", line, "--says", "b.th") == 0
    assert sorted(node.op_type for node in small().graph.node) == ["Neg", "Softmax"]


@pytest.mark.parametrize("status", ["139", "-11"])
@pytest.mark.parametrize("crash", ["kill -SEGV $$", "sh -c 'kill -SEGV $$'; exit $?"])
def test_a_command_that_crashes(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, crash: str) -> None:
    write(tmp_path, SOFTMAX)
    keep = ("--keep", f"! grep -q Softmax {{}} || {{ {crash}; }}")
    assert command("reduce", "model.onnx", "-o", "small.onnx", *keep, "--status", status) == 0
    assert [node.op_type for node in small().graph.node] == ["Softmax"]
    assert "the command: it was ended by SIGSEGV" in capsys.readouterr().out


def test_taking_too_long_is_no_failure_unless_asked_for(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, SOFTMAX)
    options = ("--keep", "! grep -q Softmax {} || sleep 60", "--timeout", "0.3")
    assert command("reduce", "model.onnx", "-o", "small.onnx", *options) == 2
    assert "its time was up; give it more --timeout" in capsys.readouterr().err
    assert command("reduce", "model.onnx", "-o", "small.onnx", *options, "--keep-timeouts", "--says", "", "--tries", "12") == 0
    assert len(small().graph.node) < 11
    assert "It may get smaller yet: the --tries or --seconds were used up." in capsys.readouterr().out


def test_the_best_so_far_survives_an_interruption(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, SOFTMAX)
    run, times = Shell.run, []

    def interrupted(self: Shell, path: Path) -> object:
        times.append(path)
        if len(times) == 8:
            raise KeyboardInterrupt
        return run(self, path)

    monkeypatch.setattr(Shell, "run", interrupted)
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", HAS_SOFTMAX) == 130
    said = capsys.readouterr().err
    assert "small.onnx holds the best so far: 11 -> " in said
    monkeypatch.undo()
    assert len(small(tmp_path / "small.onnx").graph.node) < 11


def test_there_must_be_something_to_keep(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", "echo fine model.onnx #") == 1
    said = "there is nothing to keep: it takes an exit status other than 0; the command: exit status 0\n  | fine model.onnx"
    assert said in capsys.readouterr().err
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--differs") == 1
    assert "model.onnx: there is nothing to keep: level1 makes nothing wrong of it" in capsys.readouterr().err
    assert not (tmp_path / "small.onnx").exists()


def test_differs_with_sizes_that_are_frozen(command: Command, tmp_path: Path) -> None:
    subtracts = SOFTMAX.replace("Add(f, b)", "Sub(f, b)")
    write(tmp_path, subtracts)
    wrong = ("-p", "level1, planted", "--plugin", planted.__file__, "--freeze", "N=5")
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--differs", *wrong) == 0
    made = onnx.load(tmp_path / "small.onnx")
    assert [node.op_type for node in made.graph.node] == ["Sub"]


def test_a_model_that_graphopt_does_not_read_is_reduced_too(command: Command, tmp_path: Path) -> None:
    twice = model(SOFTMAX)
    twice.graph.node.extend([helper.make_node("Neg", ["x"], ["y"])])  # y is made twice
    onnx.save(twice, tmp_path / "model.onnx")
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--keep", HAS_SOFTMAX) == 0
    assert [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node] == ["Softmax"]


@pytest.mark.parametrize(("arguments", "says"), [
    (("-o", "small.onnx"), "what should be kept? Give either --keep COMMAND or --differs"),
    (("-o", "small.onnx", "--differs", "--keep", "false"), "what should be kept?"),
    (("-o", "small.onnx", "--differs", "--status", "3"), "--status, --says, --timeout and --keep-timeouts are for --keep"),
    (("-o", "small.onnx", "--keep", "false", "--keep-timeouts"), "--keep-timeouts needs --timeout SECONDS"),
    (("-o", "small.onnx", "--keep", "false", "--says", "("), "'(' is no regular expression"),
    (("--keep", "false"), "Missing option '-o'"),
])  # fmt: skip
def test_wrong_words(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    write(tmp_path)
    assert command("reduce", "model.onnx", *arguments) == 2
    assert says in capsys.readouterr().err

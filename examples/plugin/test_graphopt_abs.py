from graphopt_abs import PLUGIN, FuseAbs, max_neg_to_abs

from graphopt.testing import assert_same, check_rule, fires, optimized

MODEL = '<ir_version: 10, opset_import: ["": 20]> g (float[N] x) => (float[N] y) { n = Neg(x)  m = Max(n, x)  y = Sqrt(m) }'


def test_the_rule() -> None:
    check_rule(max_neg_to_abs)
    assert fires(FuseAbs(), MODEL) == 1
    assert_same(MODEL, optimized(MODEL, "level1", plugins=[PLUGIN]))


def test_the_option() -> None:
    graph = optimized(MODEL, "prefix-values{prefix=a_}", plugins=[PLUGIN]).graph
    assert [node.output[0] for node in graph.node] == ["a_n", "a_m", "y"]

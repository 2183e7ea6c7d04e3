"""For each pass of onnxoptimizer a small model on which it fires there, and what graphopt.compat makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx.parser
from onnx import ModelProto


@dataclass(frozen=True)
class Case:
    """`after`: the operators that are left here, in order; the model's own where it stays as it is. `there`: what onnxoptimizer 0.4.2 does.

    "fires" it changes the model; "stays" it does not, though the pass is for such a model; "fails" it raises.
    """

    body: str
    after: str
    opset: int = 17
    there: str = "fires"

    def model(self) -> ModelProto:
        """The model."""
        return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {self.opset}]> {self.body}')


CONV = "float[1, 3, 8, 8] x, float[4, 3, 3, 3] w"

CASES = {
    "nop": Case("g (float[3] x) => (float[3] y) { a = Identity(x) y = Relu(a) }", "Identity Relu", there="stays"),
    "eliminate_nop_cast": Case("g (float[3] x) => (float[3] y) { a = Cast<to = 1>(x) y = Relu(a) }", "Relu"),
    "eliminate_nop_dropout": Case(
        "g (float[3] x) => (float[3] y) { a = Dropout<ratio = 0.0>(x) y = Relu(a) }", "Relu", opset=11
    ),
    "eliminate_nop_flatten": Case("g (float[2, 3] x) => (float[2, 3] y) { a = Flatten<axis = 1>(x) y = Relu(a) }", "Relu"),
    "extract_constant_to_initializer": Case(
        "g (float[3] x) => (float[3] y) { c = Constant<value = float[3] {1, 2, 3}>() y = Add(x, c) }", "Add"
    ),
    "eliminate_consecutive_idempotent_ops": Case("g (float[3] x) => (float[3] y) { a = Ceil(x) b = Ceil(a) y = Relu(b) }", "Ceil Relu"),
    "eliminate_if_with_const_cond": Case(
        "g (float[3] x) => (float[3] y) <bool c = {1}> { a = Neg(x)"
        " b = If (c) <then_branch = t () => (float[3] r) { r = Abs(a) }, else_branch = e () => (float[3] q) { q = Exp(a) }> y = Relu(b) }",
        "Neg Abs Relu",
    ),
    "eliminate_nop_monotone_argmax": Case(
        "g (float[2, 3] x) => (int64[2, 1] y) { a = Softmax<axis = 1>(x) y = ArgMax<axis = 1, keepdims = 1>(a) }", "Softmax ArgMax"
    ),
    "eliminate_nop_pad": Case("g (float[3] x) => (float[3] y) <int64[2] p = {0, 0}> { a = Pad(x, p) y = Relu(a) }", "Relu"),
    "eliminate_nop_concat": Case("g (float[3] x) => (float[3] y) { a = Concat<axis = 0>(x) y = Relu(a) }", "Relu"),
    "eliminate_nop_split": Case("g (float[3] x) => (float[3] y) <int64[1] s = {3}> { a = Split<axis = 0>(x, s) y = Relu(a) }", "Relu"),
    "eliminate_nop_expand": Case(
        "g (float[2, 3] x) => (float[2, 3] y) <int64[2] s = {2, 3}> { a = Expand(x, s) y = Relu(a) }", "Relu"
    ),
    "eliminate_shape_gather": Case(
        "g (float[2, 3] x) => (int64 y) <int64 i = {1}> { s = Shape(x) a = Gather(s, i) y = Neg(a) }", ""
    ),
    "eliminate_slice_after_shape": Case(
        "g (float[2, 3, 4] x) => (int64[2] y) <int64[1] b = {0}, int64[1] e = {2}> { s = Shape(x) a = Slice(s, b, e) y = Neg(a) }", ""
    ),
    "eliminate_nop_transpose": Case("g (float[2, 3] x) => (float[2, 3] y) { a = Transpose<perm = [0, 1]>(x) y = Relu(a) }", "Relu"),
    "fuse_add_bias_into_conv": Case(
        "g (float[1, 1, 3, 3] x) => (float[1, 2, 3, 3] y) <float[2, 1, 1, 1] w = {1, 2}, float[1, 2, 1, 1] b = {3, 4}>"
        " { a = Conv(x, w) y = Add(a, b) }",
        "Conv",
    ),
    "fuse_bn_into_conv": Case(
        "g (float[1, 1, 3, 3] x) => (float[1, 2, 3, 3] y) <float[2, 1, 1, 1] w = {1, 2}, float[2] s = {1, 2}, float[2] b = {3, 4},"
        " float[2] m = {5, 6}, float[2] v = {7, 8}> { a = Conv(x, w) y = BatchNormalization(a, s, b, m, v) }",
        "Conv",
    ),
    "fuse_consecutive_concats": Case(
        "g (float[2] x, float[3] z, float[4] u) => (float[9] y) { a = Concat<axis = 0>(x, z) y = Concat<axis = 0>(a, u) }", "Concat"
    ),
    "fuse_consecutive_log_softmax": Case("g (float[2, 3] x) => (float[2, 3] y) { a = Softmax<axis = 1>(x) y = Log(a) }", "LogSoftmax"),
    "fuse_consecutive_reduce_unsqueeze": Case(
        "g (float[2, 3] x) => (float[2, 1] y) <int64[1] a = {1}> { r = ReduceSum<keepdims = 0>(x, a) y = Unsqueeze(r, a) }", "ReduceSum"
    ),
    "fuse_consecutive_squeezes": Case(
        "g (float[1, 2, 1, 3] x) => (float[2, 3] y) <int64[1] a = {0}, int64[1] b = {1}> { s = Squeeze(x, a) y = Squeeze(s, b) }", "Squeeze"
    ),
    "fuse_consecutive_transposes": Case(
        "g (float[2, 3, 4] x) => (float[4, 2, 3] y) { a = Transpose<perm = [1, 0, 2]>(x) y = Transpose<perm = [2, 1, 0]>(a) }", "Transpose"
    ),
    "fuse_matmul_add_bias_into_gemm": Case(
        "g (float[4, 5] x, float[5, 3] w, float[3] b) => (float[4, 3] y) { a = MatMul(x, w) y = Add(a, b) }", "Gemm"
    ),
    "fuse_pad_into_conv": Case(
        f"g ({CONV}) => (float[1, 4, 8, 8] y) <int64[8] p = {{0, 0, 1, 1, 0, 0, 1, 1}}> {{ a = Pad(x, p) y = Conv(a, w) }}", "Conv"
    ),
    "fuse_pad_into_pool": Case(
        "g (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}>"
        " { a = Pad(x, p) y = AveragePool<kernel_shape = [3, 3], count_include_pad = 1>(a) }",
        "AveragePool",
    ),
    "fuse_transpose_into_gemm": Case(
        "g (float[5, 4] x, float[5, 3] w, float[3] b) => (float[4, 3] y) { t = Transpose<perm = [1, 0]>(x) y = Gemm(t, w, b) }", "Gemm"
    ),
    "fuse_concat_into_reshape": Case(
        "g (float[2, 3, 4] x) => (float[2, 12] y) <int64[1] b = {2}, int64[1] r = {-1}> { s = Concat<axis = 0>(b, r) y = Reshape(x, s) }",
        "Reshape",
    ),
    "eliminate_nop_reshape": Case(
        "g (float[2, 3] x) => (float[2, 3] y) <int64[2] s = {2, 3}> { a = Reshape(x, s) y = Relu(a) }", "Relu"
    ),
    "eliminate_nop_with_unit": Case("g (float[3] x) => (float[3] y) <float[1] o = {1}> { a = Mul(x, o) y = Relu(a) }", "Relu"),
    "eliminate_common_subexpression": Case("g (float[3] x) => (float[3] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }", "Exp Add"),
    "fuse_qkv": Case(
        "g (float[2, 2] x) => (float[2, 2] q, float[2, 2] k, float[2, 2] v) <float[2, 2] a = {1, 2, 3, 4}, float[2, 2] b = {5, 6, 7, 8},"
        " float[2, 2] c = {9, 10, 11, 12}>"
        " { h = Relu(x) a1 = MatMul(h, a) b1 = MatMul(h, b) c1 = MatMul(h, c) q = Relu(a1) k = Relu(b1) v = Relu(c1) }",
        "Relu MatMul Split Relu Relu Relu",
    ),
    "fuse_consecutive_unsqueezes": Case(
        "g (float[2, 3] x) => (float[1, 2, 1, 3] y) <int64[1] a = {0}, int64[1] b = {2}> { s = Unsqueeze(x, a) y = Unsqueeze(s, b) }",
        "Unsqueeze",
    ),
    "eliminate_deadend": Case("g (float[3] x) => (float[3] y) { a = Exp(x) b = Neg(a) y = Relu(x) }", "Relu"),
    "eliminate_identity": Case("g (float[3] x) => (float[3] y) { a = Identity(x) y = Relu(a) }", "Relu"),
    "eliminate_shape_op": Case("g (float[2, 3] x) => (int64[2] y) { s = Shape(x) y = Neg(s) }", ""),
    "fuse_consecutive_slices": Case(
        "g (float[8, 8] x) => (float[4, 4] y) <int64[1] b = {1}, int64[1] e = {5}, int64[1] r = {0}, int64[1] c = {1}>"
        " { s = Slice(x, b, e, r) y = Slice(s, b, e, c) }",
        "Slice",
        there="stays",
    ),
    "eliminate_unused_initializer": Case("g (float[3] x) => (float[3] y) <float[3] unread = {1, 2, 3}> { y = Relu(x) }", "Relu"),
    "eliminate_duplicate_initializer": Case(
        "g (float[3] x) => (float[3] y) <float[3] a = {1, 2, 3}, float[3] b = {1, 2, 3}> { s = Add(x, a) y = Mul(s, b) }", "Add Mul"
    ),
    "rewrite_where": Case("g (bool[3] c, float[3] a, float[3] b) => (float[3] y) { n = Not(c) y = Where(n, a, b) }", "Where"),
    "adjust_add": Case("g (float[2, 3] x) => (float[2, 3] y) <float[3] c = {1, 2, 3}> { y = Add(c, x) }", "Add"),
    "rename_input_output": Case("g (float[3] x) => (float[3] y) { y = Relu(x) }", "Relu"),
    "set_unique_name_for_nodes": Case("g (float[3] x) => (float[3] y) { a = Neg(x) y = Relu(a) }", "Neg Relu"),
    "replace_einsum_with_matmul": Case(
        'g (float[2, 3] x, float[3, 4] w) => (float[2, 4] y) { y = Einsum<equation = "ij,jk->ik">(x, w) }', "MatMul"
    ),
    "lift_lexical_references": Case(
        "g (bool c, float[3] x) => (float[3] y) { a = Neg(x)"
        " y = If (c) <then_branch = t () => (float[3] r) { r = Abs(a) }, else_branch = e () => (float[3] q) { q = Exp(a) }> }",
        "Neg If",
    ),
    "split_init": Case(
        "g (float[3] x) => (float[3] y) <float[3] a = {1, 2, 3}> { b = Exp(a) y = Add(x, b) }", "Exp Add"
    ),
    "split_predict": Case(
        "g (float[3] x) => (float[3] y) <float[3] a = {1, 2, 3}> { b = Exp(a) y = Add(x, b) }", "Exp Add"
    ),
    "adjust_slice_and_matmul": Case(
        "g (float[4, 5] x, float[5, 6] w) => (float[4, 2] y) <int64[1] b = {0}, int64[1] e = {2}, int64[1] c = {1}>"
        " { m = MatMul(x, w) y = Slice(m, b, e, c) }",
        "MatMul Slice",
        there="stays",
    ),
    "rewrite_input_dtype": Case("g (int64[3] x) => (int64[3] y) { y = Neg(x) }", "Neg"),
}

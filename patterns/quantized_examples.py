"""Models on which the rules for operators of onnxruntime prove themselves: of these no schema says what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_ZERO: Final = {"uint8": "100", "int8": "-3"}

_UNARY: Final = "y = com.microsoft.{0}(x, s, z, t, u)"
_BINARY: Final = "y = com.microsoft.{0}(x, s, z, v, t, u, r, z)"


def _quantized(call: str) -> str:
    """A call of a float operator between DequantizeLinears, which stand as %x,scale,zero%, and a QuantizeLinear."""
    parts = call.split("%")
    before = " ".join(f"d{index} = DequantizeLinear({part})" for index, part in enumerate(parts) if index % 2)
    return f"{before} f = {''.join(f'd{index}' if index % 2 else part for index, part in enumerate(parts))} y = QuantizeLinear(f, r, z)"


_DYNAMIC: Final = "a, p, o = DynamicQuantizeLinear(x)"
_PRODUCT: Final = "i = MatMulInteger(a, w, o, k) f = Cast<to = 1>(i)"
_CONVOLUTION: Final = "i = ConvInteger<pads = [1,1,1,1]>(a, h, o) f = Cast<to = 1>(i)"

# What is fed to each, what it makes, and calls of it. ELEMENT is int8 or uint8.
_CALLS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "QLinearConv": (
        "ELEMENT[1,2,4,4] g",
        "ELEMENT[1,3,?,?] y",
        (
            "y = QLinearConv<pads = [1,0,0,1]>(g, s, z, h, t, k, r, z)",
            "y = QLinearConv<strides = [2,2]>(g, s, z, h, fs, fz, r, z, fc)",
        ),
    ),
    "QLinearMatMul": (
        "ELEMENT[2,3,4] a",
        "ELEMENT[2,3,5] y",
        ("y = QLinearMatMul(a, s, z, w, t, k, r, z)", "y = QLinearMatMul(a, s, z, w, ws, wz, r, z)"),
    ),
    "QGemm": (
        "ELEMENT[3,4] a",
        "ELEMENT[3,5] y",
        (
            "y = com.microsoft.QGemm<alpha = 1.0>(a, s, z, w, t, k, , r, z)",
            "y = com.microsoft.QGemm<alpha = 0.5>(a, s, z, w, ws, wz, c, r, z)",
            "y = com.microsoft.QGemm<transB = 1>(a, s, z, v, ws, wz, c, r, z)",
        ),
    ),
    "QLinearAdd": ("ELEMENT[2,3] x, ELEMENT[3] v", "ELEMENT[2,3] y", (_BINARY.format("QLinearAdd"),)),
    "QLinearMul": ("ELEMENT[2,3] x, ELEMENT[3] v", "ELEMENT[2,3] y", (_BINARY.format("QLinearMul"),)),
    "QLinearSigmoid": ("ELEMENT[2,3] x", "ELEMENT[2,3] y", (_UNARY.format("QLinearSigmoid"),)),
    "QLinearLeakyRelu": ("ELEMENT[2,3] x", "ELEMENT[2,3] y", (_UNARY.format("QLinearLeakyRelu<alpha = 0.25>"),)),
    "QLinearSoftmax": (
        "ELEMENT[2,3] x",
        "ELEMENT[2,3] y",
        (_UNARY.format("QLinearSoftmax<axis = 0, opset = 13>"), _UNARY.format("QLinearSoftmax<axis = 1, opset = 12>")),
    ),
    "QLinearAveragePool": (
        "ELEMENT[1,2,5,5] x",
        "ELEMENT[1,2,?,?] y",
        (
            _UNARY.format("QLinearAveragePool<kernel_shape = [2,2]>"),
            _UNARY.format("QLinearAveragePool<kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2], count_include_pad = 1>"),
        ),
    ),
    "QLinearGlobalAveragePool": ("ELEMENT[1,2,5,5] x", "ELEMENT[1,2,1,1] y", (_UNARY.format("QLinearGlobalAveragePool"),)),
    "QLinearConcat": (
        "ELEMENT[2,3] x, ELEMENT[2,1] v",
        "ELEMENT[2,4] y",
        ("y = com.microsoft.QLinearConcat<axis = 1>(r, z, x, s, z, v, t, u)",),
    ),
    "QLinearWhere": (
        "bool[2,3] b, ELEMENT[2,3] x, ELEMENT[3] v",
        "ELEMENT[2,3] y",
        ("y = com.microsoft.QLinearWhere(b, x, s, z, v, t, u, r, z)",),
    ),
    "MatMulInteger": (
        "float[3,4] x",
        "float[3,5] y",
        (f"{_DYNAMIC} {_PRODUCT} e = Mul(p, ws) y = Mul(f, e)", f"{_DYNAMIC} {_PRODUCT} e = Mul(f, p) y = Mul(t, e)"),
    ),
    "MatMulInteger of one scale": (
        "ELEMENT[3,4] a, ELEMENT o",
        "float[3,5] y",
        (f"{_PRODUCT} y = Mul(f, ws)", f"{_PRODUCT} y = Mul(s, f)"),
    ),
    "ConvInteger": ("float[1,2,4,4] x", "float[1,3,6,6] y", (f"{_DYNAMIC} {_CONVOLUTION} e = Mul(p, hs) y = Mul(f, e)",)),
    "ConvInteger of one scale": ("ELEMENT[1,2,4,4] a, ELEMENT o", "float[1,3,6,6] y", (f"{_CONVOLUTION} y = Mul(f, hs)",)),
    "MatMulIntegerToFloat": (
        "ELEMENT[3,4] a",
        "float[3,5] y",
        (
            "y = com.microsoft.MatMulIntegerToFloat(a, w, s, t, z, k)",
            "y = com.microsoft.MatMulIntegerToFloat(a, w, s, ws, z, wz, d)",
        ),
    ),
    "Conv": (
        "ELEMENT[1,2,4,4] g",
        "ELEMENT[1,3,?,?] y",
        (
            _quantized("Conv<pads = [1,0,0,1]>(%g,s,z%, %h,t,k%)"),
            _quantized("Conv<strides = [2,2]>(%g,s,z%, %h,t,k%, %fc,q%)"),
        ),
    ),
    "MatMul": ("ELEMENT[2,3,4] a", "ELEMENT[2,3,5] y", (_quantized("MatMul(%a,s,z%, %w,t,k%)"), _quantized("MatMul(%a,s,z%, %w,ws,wz%)"))),
    "Gemm": (
        "ELEMENT[3,4] a",
        "ELEMENT[3,5] y",
        (
            _quantized("Gemm<alpha = 0.5>(%a,s,z%, %w,t,k%)"),
            _quantized("Gemm(%a,s,z%, %w,t,k%, %c,q%)"),
            _quantized("Gemm<transB = 1>(%a,s,z%, %v,t,k%)"),
        ),
    ),
    "Add": ("ELEMENT[2,3] x, ELEMENT[3] v", "ELEMENT[2,3] y", (_quantized("Add(%x,s,z%, %v,t,u%)"),)),
    "Mul": ("ELEMENT[2,3] x, ELEMENT[3] v", "ELEMENT[2,3] y", (_quantized("Mul(%x,s,z%, %v,t,u%)"),)),
    "Sigmoid": ("ELEMENT[2,3] x", "ELEMENT[2,3] y", (_quantized("Sigmoid(%x,s,z%)"),)),
    "LeakyRelu": ("ELEMENT[2,3] x", "ELEMENT[2,3] y", (_quantized("LeakyRelu<alpha = 0.25>(%x,s,z%)"),)),
    "Softmax": ("ELEMENT[2,3] x", "ELEMENT[2,3] y", (_quantized("Softmax(%x,s,z%)"), _quantized("Softmax<axis = 0>(%x,s,z%)"))),
    "AveragePool": (
        "ELEMENT[1,2,5,5] x",
        "ELEMENT[1,2,?,?] y",
        (
            _quantized("AveragePool<kernel_shape = [2,2]>(%x,s,z%)"),
            _quantized("AveragePool<kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2], count_include_pad = 1>(%x,s,z%)"),
        ),
    ),
    "GlobalAveragePool": ("ELEMENT[1,2,5,5] x", "ELEMENT[1,2,1,1] y", (_quantized("GlobalAveragePool(%x,s,z%)"),)),
    "Concat": ("ELEMENT[2,3] x, ELEMENT[2,1] v", "ELEMENT[2,4] y", (_quantized("Concat<axis = 1>(%x,s,z%, %v,t,u%)"),)),
    "Where": ("bool[2,3] b, ELEMENT[2,3] x, ELEMENT[3] v", "ELEMENT[2,3] y", (_quantized("Where(b, %x,s,z%, %v,t,u%)"),)),
    "DynamicQuantizeMatMul": (
        "float[3,4] a",
        "float[3,5] y",
        ("y = com.microsoft.DynamicQuantizeMatMul(a, w, t, k)", "y = com.microsoft.DynamicQuantizeMatMul(a, w, ws, wz, d)"),
    ),
}

_CONSTANTS: Final = """
    float s = {0.05}, float[3,1,1] hs = {0.5, 0.25, 2}, float t = {0.125}, float r = {0.5},
    float q = {0.00625}, float[5] ws = {0.5, 0.25, 0.125, 1, 2},
    ELEMENT z = {Z}, ELEMENT u = {3}, int8 k = {0}, int8[5] wz = {0, 0, 0, 0, 0},
    int32[5] c = {-900, 12, 700, 0, -5}, float[5] d = {1, 2, 3, 4, 5},
    int8[4,5] w = {1, -2, 3, -4, 5, 127, -128, 7, 8, 9, -50, 60, -70, 80, -90, 100, 11, 12, 13, 14},
    int8[5,4] v = {1, -2, 3, -4, 5, 127, -128, 7, 8, 9, -50, 60, -70, 80, -90, 100, 11, 12, 13, 14},
    int8[3,2,1,1] h = {1, -2, 127, -128, 64, 5}, float[3] fs = {0.5, 0.25, 0.02}, int8[3] fz = {0, 0, 0}, int32[3] fc = {90, -900, 5}"""


def models(*names: str) -> Callable[[], list[str]]:
    """The models of some operators, of int8 and uint8."""

    def texts() -> list[str]:
        calls = [(inputs, output, body) for name in names for inputs, output, bodies in [_CALLS[name]] for body in bodies]
        return [_text(dtype, *call) for dtype in _ZERO for call in calls]

    return texts


def _text(dtype: str, inputs: str, output: str, body: str) -> str:
    """One model, with the constants that it reads."""
    fed = {port.split()[-1] for port in inputs.split(", ")}
    wanted = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split()) - fed
    held = [one.strip() for one in _CONSTANTS.replace("Z", _ZERO[dtype]).split("},") if one.split()[1] in wanted]
    constants = ", ".join(one if one.endswith("}") else one + "}" for one in held)
    imports = '"" : 17, "com.microsoft" : 1'
    return f"<ir_version: 8, opset_import: [{imports}]> g ({inputs}) => ({output}) <{constants}> {{ {body} }}".replace("ELEMENT", dtype)

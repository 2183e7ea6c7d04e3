"""The passes that come with graphopt, one module each, found through the same entry point as a stranger's.

>>> from graphopt.passes.fuse_conv_bn import FuseConvBn
>>> FuseConvBn.name
'fuse-conv-bn'
"""

if __name__ != "graphopt.passes":
    raise ImportError(f"this folder is the package graphopt.passes, not {__name__!r}: run `pip install -e .`, import that")

from graphopt.passes.levels import LEVELS, ON_REQUEST, TARGET_LEVELS
from graphopt.pipeline.plugin import Plugin


def _class(name: str) -> str:
    """Where a pass lives: file and class are the words of its name."""
    words = name.split("-")
    return f"graphopt.passes.{'_'.join(words)}:{''.join(word.capitalize() for word in words)}"


PLUGIN = Plugin(
    name="graphopt",
    levels=LEVELS,
    passes={name: _class(name) for name in dict.fromkeys((*(name for names in LEVELS.values() for name in names), *ON_REQUEST))},
    other_names="graphopt.passes.other_names:OTHER_NAMES",
    shapes={
        "com.microsoft.QuantizeLinear": "graphopt.passes.types_of_onnxruntime:quantize",
        "com.microsoft.DequantizeLinear": "graphopt.passes.types_of_onnxruntime:dequantize",
    },
    targets={
        "onnxruntime-cpu-x64": "graphopt.passes.targets:ONNXRUNTIME_CPU_X64",
        "onnxruntime-cpu-arm64": "graphopt.passes.targets:ONNXRUNTIME_CPU_ARM64",
        "tensorrt": "graphopt.passes.targets:TENSORRT",
        "openvino": "graphopt.passes.targets:OPENVINO",
    },
    target_levels=TARGET_LEVELS,
)

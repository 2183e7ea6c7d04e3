"""The rules that come with graphopt, one module per family. Rules only: no loops over graphs, no state.

>>> from graphopt.patterns.gemm import matmul_add_to_gemm
>>> matmul_add_to_gemm.name
'matmul-add-to-gemm'
"""

if __name__ != "graphopt.patterns":
    raise ImportError(f"this folder is the package graphopt.patterns, not {__name__!r}: run `pip install -e .`, import that")

"""The functions of other optimizers under their own names, so that a program changes one import and nothing else.

`graphopt.compat.onnxoptimizer`, `graphopt.compat.onnxsim` and `graphopt.compat.onnxslim`; none of them needs the package that it is named
after. What differs, and why, is in docs/compat.md.
"""

"""graphopt: makes ONNX models smaller and faster, and never changes what they compute.

>>> import graphopt
>>> smaller = graphopt.optimize(onnx.load("model.onnx"))         # doctest: +SKIP

What is listed in `__all__` is the public surface. Each name is imported when it is first used, so that `import graphopt` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.lazily import lazily

if TYPE_CHECKING:
    from graphopt import errors as errors
    from graphopt import testing as testing
    from graphopt import verify as verify
    from graphopt.api import check as check
    from graphopt.api import lint as lint
    from graphopt.api import load as load
    from graphopt.api import optimize as optimize
    from graphopt.api import optimize_file as optimize_file
    from graphopt.api import save as save
    from graphopt.api import stat as stat
    from graphopt.errors import GraphoptError as GraphoptError
    from graphopt.errors import InternalError as InternalError
    from graphopt.errors import ModelError as ModelError
    from graphopt.errors import SpecError as SpecError
    from graphopt.ir.dtype import DType as DType
    from graphopt.ir.graph import Value as Value
    from graphopt.ir.model import Model as Model
    from graphopt.match.language import any_of as any_of
    from graphopt.match.language import attr as attr
    from graphopt.match.language import const as const
    from graphopt.match.language import domain as domain
    from graphopt.match.language import each as each
    from graphopt.match.language import op as op
    from graphopt.match.language import opt as opt
    from graphopt.match.language import ordered as ordered
    from graphopt.match.language import product as product
    from graphopt.match.language import rest as rest
    from graphopt.match.language import sum_of as sum_of
    from graphopt.match.language import tensor as tensor
    from graphopt.match.match import Match as Match
    from graphopt.match.rule import rule as rule
    from graphopt.observe.observer import Observer as Observer
    from graphopt.observe.report import Report as Report
    from graphopt.pipeline.base import Level as Level
    from graphopt.pipeline.base import Pass as Pass
    from graphopt.pipeline.base import RulePass as RulePass
    from graphopt.pipeline.pipeline import Fixpoint as Fixpoint
    from graphopt.pipeline.pipeline import Pipeline as Pipeline
    from graphopt.pipeline.pipeline import When as When
    from graphopt.pipeline.plugin import Plugin as Plugin
    from graphopt.pipeline.target import Target as Target

_HOMES = {
    "load": "api",
    "save": "api",
    "optimize": "api",
    "optimize_file": "api",
    "check": "api",
    "lint": "api",
    "stat": "api",
    "Model": "ir.model",
    "Value": "ir.graph",
    "DType": "ir.dtype",
    "rule": "match.rule",
    "Match": "match.match",
    "op": "match.language",
    "domain": "match.language",
    "tensor": "match.language",
    "const": "match.language",
    "opt": "match.language",
    "rest": "match.language",
    "each": "match.language",
    "any_of": "match.language",
    "attr": "match.language",
    "ordered": "match.language",
    "product": "match.language",
    "sum_of": "match.language",
    "Pass": "pipeline.base",
    "RulePass": "pipeline.base",
    "Level": "pipeline.base",
    "Pipeline": "pipeline.pipeline",
    "Fixpoint": "pipeline.pipeline",
    "When": "pipeline.pipeline",
    "Plugin": "pipeline.plugin",
    "Target": "pipeline.target",
    "Observer": "observe.observer",
    "Report": "observe.report",
    "GraphoptError": "errors",
    "ModelError": "errors",
    "SpecError": "errors",
    "InternalError": "errors",
}
_MODULES = ("errors", "testing", "verify")

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name is there
    __getattr__ = lazily(__name__, {**_HOMES, **dict.fromkeys(_MODULES, "")})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})

"""What each pass says of itself: the documentation is made of it."""

from __future__ import annotations

import pytest

from graphopt.passes import PLUGIN
from graphopt.pipeline.docstring import text_of
from graphopt.pipeline.options import options_of
from graphopt.pipeline.registry import installed

SAID = {"exact": "Exact", "rounding": "Rounding", "approximate": "Approximate"}


@pytest.mark.parametrize("name", PLUGIN.passes)
def test_a_pass_says_before_after_and_keeps(name: str) -> None:
    of = installed().pass_named(name)
    text = text_of(of)
    lines = [line.partition(":")[0] for line in text.examples.splitlines()]
    assert "Before" in lines and "After" in lines and text.keeps, f"the docstring of {of.__name__} lacks Before:, After: or Keeps:"
    assert text.summary.endswith("."), f"the docstring of {of.__name__} begins with a sentence"
    assert SAID[of.exactness] in text.keeps, f"the last sentence of {of.__name__}'s Keeps says {SAID[of.exactness]!r}, as its rules do"
    undocumented = [option.field for option in options_of(of) if not option.doc]
    assert not undocumented, f"give these options of {of.__name__} metadata={{'doc': ...}}: {', '.join(undocumented)}"

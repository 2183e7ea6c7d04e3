"""Write docs/rewrites.md, the page about all passes, from what they declare: `python tools/rewrites.py`.

With --check nothing is written; the exit status says whether the page is current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from graphopt.cli.passes import describe, in_order, opset_words
from graphopt.cli.rules import summary
from graphopt.pipeline.docstring import text_of
from graphopt.pipeline.other_names import Needless, NotBuilt, OtherName
from graphopt.pipeline.registry import OURS, Registry, installed
from tools.pages import keep

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, BY_HAND = DOCS / "rewrites.md", DOCS / "not_built.md"
RENEW = "python tools/rewrites.py"
NOT_BUILT = re.compile(r"- `([^`]+)`: \S.*")

HEAD = f"""\
<!-- Made by `{RENEW}` from what passes and rules declare: change those, or not_built.md, and run it. -->

# Rewrites

All {{count}} passes that come with graphopt. {{level_1}} of them run at level 1, in the order of [levels.py](../passes/levels.py), again
until nothing changes. *On request* is what runs when a pipeline names it: good for some runtimes, in the way of others.

*Exact* keeps every bit. *Rounding* adds or multiplies floats in another order, so that last digits may differ. *Approximate* is never at
level 1. Opsets are those at which a pass finds something to do. `graphopt passes --help NAME` says the same of one pass, and
`graphopt explain` why a rule does not fire on a model.
"""


def page(registry: Registry, not_built: str) -> str:
    """The whole page."""
    names = [name for name in in_order(registry) if registry.passes[name].owner == OURS]
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.partition("-")[0], []).append(name)
    level_1 = sum(registry.level_of(name) == 1 for name in names)
    parts = [HEAD.format(count=len(names), level_1=level_1), contents(families)]
    for verb, members in families.items():
        parts += [f"## {verb.capitalize()}\n", *(entry(registry, name) for name in members)]
    parts += [other_names(registry), f"## Not built, and why\n\n{by_hand(not_built, registry)}"]
    return "\n".join(parts).rstrip() + "\n"


def contents(families: dict[str, list[str]]) -> str:
    """Links to all passes, by their verbs."""
    lines = ["| | |", "|---|---|"]
    for verb, names in families.items():
        lines.append(f"| [{verb}](#{verb}) | {' · '.join(f'[{_rest(name)}](#{name})' for name in names)} |")
    return "\n".join([*lines, "", "[Names of other tools](#names-of-other-tools) · [Not built, and why](#not-built-and-why)", ""])


def _rest(name: str) -> str:
    return name.partition("-")[2] or name


def entry(registry: Registry, name: str) -> str:
    """What there is to say of one pass."""
    one, of = describe(registry, name), registry.pass_named(name)
    text = text_of(of)
    level = f"level {one['level']}" if one["level"] is not None else "on request"
    facts = [level, one["exactness"], f"opset {one['opsets']}", *(["changes the signature"] if one["changes_signature"] else [])]
    lines = [f"### {name}", "", text.summary, "", f"*{', '.join(facts)}*", ""]
    lines += ["```text", text.examples, "```", ""] if text.examples else []
    lines += [f"Keeps {text.keeps}", ""] if text.keeps else []
    lines += [f"* `{option['name']}={option['default']}`: {option['doc']} ({option['takes']})" for option in one["options"]]
    lines += [""] * bool(one["options"])
    lines += list(rules(registry, name))
    lines += [f"Elsewhere: {'; '.join(called(one['other_names']))}", ""] if one["other_names"] else []
    return "\n".join(lines)


def rules(registry: Registry, name: str) -> Iterator[str]:
    """The rules of a pass, each with its algebra, and with its exactness and opsets where they are not the pass's."""
    of = registry.pass_named(name)
    for rule in of.rules:
        bounds = opset_words((rule,))
        others: list[str] = [] if rule.exactness == of.exactness else [rule.exactness]
        others += [] if bounds == opset_words(of.rules) else [f"opset {bounds}"]
        yield f"* {rule.name}: `{summary(registry.rules()[rule.name])}`" + (f" ({', '.join(others)})" if others else "")
    if of.rules:
        yield ""


def called(names: dict[str, Sequence[str]]) -> list[str]:
    """Names of other tools, tool by tool."""
    by_tool: dict[str, list[str]] = {}
    for name, tools in names.items():
        by_tool.setdefault(" and ".join(tools), []).append(f"`{name}`")
    return [f"{tools} {', '.join(found)}" for tools, found in by_tool.items()]


def other_names(registry: Registry) -> str:
    """What each name of each tool is here."""
    lines = [
        "## Names of other tools\n",
        "A pipeline may use them: `-p 'fuse_bn_into_conv, ConstantFolding'`, `-p 'level1, -TransposeOptimizer'`, `--skip FusionGemm`.",
        "Each stands for the passes beside it.\n",
    ]
    by_tool: dict[str, dict[str, list[OtherName]]] = {}
    for other in registry.other_names().values():
        meanings = by_tool.setdefault(", ".join(other.tools), {})
        meanings.setdefault(meaning(other), []).append(other)
    for tools, meanings in by_tool.items():
        lines += [f"### {tools}\n", "| there | here |", "|---|---|"]
        built_first = sorted(meanings.items(), key=lambda item: not item[1][0].passes)
        lines += [f"| {', '.join(f'`{other.name}`' for other in others)} | {words} |" for words, others in built_first]
        lines.append("")
    return "\n".join(lines)


def meaning(other: OtherName) -> str:
    """What a name is here, in Markdown."""
    match other.meaning:
        case Needless(why):
            return f"nothing to run: {why}"
        case NotBuilt(why):
            return f"not built: {why}"
    return ", ".join(f"[{name}](#{name})" for name in other.passes)


def by_hand(text: str, registry: Registry) -> str:
    """The part that people write, its headings one deeper. Exits where a line is neither a heading nor a rewrite, or names a pass."""
    lines = [line for line in text.splitlines() if not line.startswith("<!--")]
    for line in lines:
        found = NOT_BUILT.fullmatch(line)
        if line and found is None and not line.startswith("## "):
            sys.exit(f"{BY_HAND.name}: {line!r} is neither a heading nor a line \"- `name`: why\"")
        if found is not None and found[1] in registry.passes:
            sys.exit(f"{BY_HAND.name}: {found[1]} is said not to be built, and is a pass: take the line out")
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in lines).strip()


def whole_page() -> str:
    """The page about what is installed, which must all load."""
    registry = installed()
    made = page(registry, BY_HAND.read_text(encoding="utf-8"))
    for failure in registry.failures:
        sys.exit(failure)
    return made


if __name__ == "__main__":
    sys.exit(keep(PAGE, whole_page, "passes and rules"))

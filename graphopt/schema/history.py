"""At which opsets an operator is there, and changed."""

from __future__ import annotations

from functools import cache

from graphopt.schema import facts


@cache
def versions(domain: str, op_type: str) -> frozenset[int]:
    """The opsets of the default domain at which an operator changed; none for other domains."""
    if domain:
        return frozenset()
    found = set()
    for opset in range(1, facts.newest_opset() + 1):
        known = facts.of("", op_type, opset)
        if known is not None and not known.is_deprecated:
            found.add(known.since_version)
    return frozenset(found)


@cache
def last_opset(domain: str, op_type: str) -> int:
    """The newest opset of the default domain at which an operator is not deprecated."""
    newest = facts.newest_opset()
    if domain:
        return newest
    return next((opset for opset in range(newest, 0, -1) if (known := facts.of("", op_type, opset)) and not known.is_deprecated), newest)


@cache
def operator_names() -> frozenset[str]:
    """The operators of the default domain, of any opset."""
    from onnx import defs

    return frozenset(schema.name for schema in defs.get_all_schemas() if not schema.domain)

"""The packages that some tests need and graphopt does not."""

from __future__ import annotations


def missing(what: str, package: str) -> ImportError:
    """The error that says what to install."""
    return ImportError(f"graphopt.testing.{what} needs the package {package}: pip install 'graphopt[test]'", name=package)

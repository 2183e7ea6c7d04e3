"""The one thing pyproject.toml cannot say: which folder is which package, found by looking."""

from setuptools import find_packages, setup

FOLDERS = {"graphopt": "graphopt", "graphopt.passes": "passes", "graphopt.patterns": "patterns"}


def packages() -> list[str]:
    """Every package under FOLDERS; the links in graphopt/ lead to names that are in the set anyway."""
    inside = {f"{name}.{sub}" for name, folder in FOLDERS.items() for sub in find_packages(folder)}
    return sorted(FOLDERS.keys() | inside)


DATA = {"graphopt": ["py.typed"], "graphopt.observe.page": ["assets/*", "assets/vendor/*"]}

setup(packages=packages(), package_dir=FOLDERS, package_data=DATA, include_package_data=False)

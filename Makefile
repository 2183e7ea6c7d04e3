# Every target sets up what it needs in $(VENV), once, and again when the set-up's own files change.
#
#   make demo          optimize a real network and compare its outputs
#   make test          the tests
#   make dev           an editable install with all tools, for working on the project
#   make lint          ruff, mypy --strict, import-linter
#   make test-slow     the sweeps that take minutes
#   make test-oldest   the tests with the oldest supported onnx, numpy and onnxruntime
#   make wheel-test    the tests against the built wheel, away from this checkout
#   make bench         time and memory beside the peers that are installed; BENCH='--all --check' for all of it
#   make docs          write docs/rewrites.md and docs/commands.md from what passes and commands declare
#   make orders        passes of level 1 in other orders, pairs first: same results, same graphs?
#   make sweep         random pipelines over random models; SWEEP='--minutes 60 --seed 1'
#   make clean         remove what the others made

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?= -n auto

# The oldest supported versions have wheels up to Python 3.12, and are tested on the oldest supported Python.
OLDEST_PYTHON ?= $(shell python3.10 --version >/dev/null 2>&1 && echo python3.10 || echo $(PYTHON))
OLDEST := $(VENV)-oldest

comma := ,
SETUP := pyproject.toml setup.py tools/links.py
NEW := sys.version_info < (3, 10) and "graphopt needs Python 3.10 or newer: make PYTHON=python3.12"
OLD := sys.version_info >= (3, 13) and "the oldest supported versions need Python 3.10 to 3.12: make OLDEST_PYTHON=python3.10"

# $(call venv,PYTHON,FOLDER,CHECK): all of it or nothing of it
venv = $(1) -c 'import sys; sys.exit($(3))' && echo "setting up $(2) with $$($(1) --version)" \
	&& { $(1) -m venv $(2) || { rm -rf $(2); exit 1; }; }
# $(call install,FOLDER,EXTRAS,CONSTRAINTS): pip says nothing unless something fails
install = echo "installing graphopt[$(2)] into $(1)" \
	&& $(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(2)]' $(3) \
	&& $(1)/bin/python tools/links.py

.PHONY: demo test dev lint test-slow test-oldest wheel-test bench docs orders sweep clean
.DELETE_ON_ERROR:

demo: $(VENV)/.done-demo
	@$(VENV)/bin/python examples/demo.py

test: $(VENV)/.done-test
	@$(VENV)/bin/python -m pytest $(PYTEST_FLAGS)

test-slow: $(VENV)/.done-test
	@$(VENV)/bin/python -m pytest $(PYTEST_FLAGS) -m slow

dev: $(VENV)/.done-dev

lint: $(VENV)/.done-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

wheel-test: $(VENV)/.done-dev
	@$(VENV)/bin/python tools/test_wheel.py $(PYTEST_FLAGS)

test-oldest: $(OLDEST)/.done-test
	@$(OLDEST)/bin/python -m pytest $(PYTEST_FLAGS)

bench: $(VENV)/.done-test
	@$(VENV)/bin/python bench/run.py $(BENCH)

docs: $(VENV)/.done-test
	@$(VENV)/bin/python tools/rewrites.py
	@$(VENV)/bin/python tools/commands.py

orders: $(VENV)/.done-test
	@$(VENV)/bin/python tools/orders.py

sweep: $(VENV)/.done-test
	@$(VENV)/bin/python tools/sweep.py $(SWEEP)

clean:
	rm -rf $(VENV) $(OLDEST) build dist graphopt.egg-info

$(VENV)/bin/python:
	@$(call venv,$(PYTHON),$(VENV),$(NEW))

$(OLDEST)/bin/python:
	@$(call venv,$(OLDEST_PYTHON),$(OLDEST),$(NEW) or $(OLD))

$(VENV)/.done-demo: $(SETUP) | $(VENV)/bin/python
	@$(call install,$(VENV),ort)
	@touch $@

$(VENV)/.done-test: $(SETUP) | $(VENV)/bin/python
	@$(call install,$(VENV),ort$(comma)onnx-ir$(comma)test)
	@touch $@

$(VENV)/.done-dev: $(SETUP) | $(VENV)/bin/python
	@$(call install,$(VENV),dev)
	@touch $@ $(VENV)/.done-demo $(VENV)/.done-test

$(OLDEST)/.done-test: $(SETUP) tools/constraints-oldest.txt | $(OLDEST)/bin/python
	@$(call install,$(OLDEST),ort$(comma)onnx-ir$(comma)test,--constraint tools/constraints-oldest.txt)
	@touch $@

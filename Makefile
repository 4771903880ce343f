# The two commands are `make bench` and `make test`; both set up .venv when it is not there.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUITE := suites/fashion-mnist.yaml
PRESET ?= quick
LIMIT ?=
RESULTS ?= results/$(PRESET)
REPORTS ?= reports/$(PRESET)

.DEFAULT_GOAL := help
.PHONY: help setup lint type test bench full report clean

help: ## list what make can do
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with everything that is needed

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there; name another with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@# hpsv2's pins clash with pytest 8 and protobuf 4, and nothing of them is needed to score.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps hpsv2==1.2.0 clint==0.5.1 args==0.1.0
	@touch $(READY)

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(READY) ## mypy, strict
	$(BIN)/mypy

test: $(READY) ## all tests, about ten minutes on two cores
	$(BIN)/pytest

bench: $(READY) ## run, score and report the embedded suite (PRESET=quick), about ten minutes on two cores
	$(BIN)/sgbench bench $(SUITE) --preset $(PRESET) --results $(RESULTS) --reports $(REPORTS) $(if $(LIMIT),--limit $(LIMIT))

full: $(READY) ## the whole embedded suite, whose results are committed; about an hour
	$(BIN)/sgbench run $(SUITE) --results results
	$(BIN)/sgbench time $(SUITE) --results results
	$(BIN)/sgbench bench $(SUITE) --results results --reports reports

report: $(READY) ## write the report of `make bench` again
	$(BIN)/sgbench report $(SUITE) --preset $(PRESET) --results $(RESULTS) --reports $(REPORTS) $(if $(LIMIT),--limit $(LIMIT))

clean: ## remove .venv, caches and the results of `make bench`
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis results/quick reports/quick

# The two commands are `make bench` and `make test`; both set up .venv when it is not there.
# PYTHON names one by hand; otherwise the newest of 3.11 to 3.14 is taken. TORCH=cpu takes torch without CUDA.
PYTHON ?=
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUITES := suites/fashion-mnist.yaml suites/shapes.yaml
COMMITTED := $(SUITES) suites/fashion-gammas.yaml suites/ablations/rivals.yaml
PRESET ?= quick
LIMIT ?=
SLICE ?=
# Workers of one thread of torch each: as many as cores and memory allow (tests/conftest.py).
JOBS ?= auto
PARALLEL := -n $(JOBS)
RESULTS ?= results/$(PRESET)
REPORTS ?= reports/$(PRESET)

.DEFAULT_GOAL := help
.PHONY: help setup lint type check test test-full bench full report publish clean

help: ## list what make can do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with everything that is needed; TORCH=cpu takes torch without CUDA

# A .venv whose Python is gone is not ready, whatever it holds; what is named by hand is held against it.
.PHONY: again
$(READY): pyproject.toml $(if $(shell test -x $(BIN)/python && echo there),$(if $(PYTHON)$(TORCH),again),again)
	@.ci/set-up "$(VENV)" "$(PYTHON)" "$(TORCH)"
	@touch $(READY)

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(READY) ## mypy, strict
	$(BIN)/mypy

check: lint type ## lint, types and the quick tests, while one works: about a minute
	$(BIN)/pytest $(PARALLEL) -m "not slow and not full and not browser and not ray"

test: $(READY) ## the tests, five to eight minutes on two cores; of what is drawn by chance a seeded sample
	$(BIN)/pytest $(PARALLEL)

test-full: $(READY) ## every test, with all that is drawn by chance, twenty minutes; SLICE=3/10 a tenth of what `make test` leaves out
	$(BIN)/pytest $(PARALLEL) $(if $(SLICE),-m full --slice $(SLICE),-m "full or not full")

bench: $(READY) ## run, score and report the embedded suites (PRESET=quick), four minutes on two AVX-512 cores
	set -e; for suite in $(SUITES); do \
	  $(BIN)/sgbench bench $$suite --preset $(PRESET) --results $(RESULTS) --reports $(REPORTS) $(if $(LIMIT),--limit $(LIMIT)); done

full: $(READY) ## the whole embedded suites, whose results are committed; about three hours
	set -e; for suite in $(COMMITTED); do \
	  $(BIN)/sgbench run $$suite --results results; \
	  $(BIN)/sgbench time $$suite --results results; \
	  $(BIN)/sgbench bench $$suite --results results --reports reports; done

report: $(READY) ## write the committed reports again, from the committed rows; less than a minute
	set -e; for suite in $(COMMITTED); do \
	  $(BIN)/sgbench report $$suite --results results --reports reports; done

publish: $(READY) ## the committed reports as a folder for any static host, with an index over all suites: site/
	$(BIN)/sgbench publish --reports reports --output site

clean: ## remove .venv, caches and the results of `make bench`
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis results/quick reports/quick site

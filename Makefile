# Each target does its own set-up. `make help` lists them.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PYTEST  := $(BIN)/python -m pytest -q
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt
WORKERS ?= 2
COMMIT  ?= HEAD
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fast parity suite usb mutants endurance bench size size-diff screenshot tools clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.ready ## the main job: train, build, run on an emulated board, compare bit for bit
	$(BIN)/cyberhans demo

check: lint fast ## lint, types and every test that needs no emulator, in under a minute

test: lint $(VENV)/.tested ## every test
	$(PYTEST) -n $(WORKERS) --dist worksteal

lint: $(VENV)/.tested ## ruff, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: $(VENV)/.tested
	$(PYTEST) -n $(WORKERS) -m "not emulator and not slow"

parity: $(VENV)/.tested ## every test window of four protocols, on every board by every compiler: the README's table
	CYBERHANS_ENDURANCE=1 $(PYTEST) -n $(WORKERS) --dist worksteal hil/test_parity.py

suite: $(VENV)/.tested ## the suite of cyberhans.hil on every board with four detectors; SUITE="-k costs --update-baseline"
	$(BIN)/python -m hil.suite -n $(WORKERS) $(SUITE)

usb: $(VENV)/.tested ## real USB: Debian's kernel in QEMU, both ends of a cable that is pulled during a capture; and the suite over it
	$(BIN)/python -m hil.usb

mutants: $(VENV)/.tested ## the test of the tests: seeded faults, each to be caught in its stage; MUTANTS="--json", or names
	$(BIN)/python -m hil.mutants $(MUTANTS)

endurance: $(VENV)/.tested ## every long test with its full count; hil/README.md holds the last figures
	CYBERHANS_ENDURANCE=1 $(PYTEST) -n $(WORKERS) --dist worksteal

bench: $(VENV)/.ready ## instructions of each stage on each emulated board, and bytes; BENCH="--json", or boards' names
	$(BIN)/python -m hil.bench $(BENCH)

size: $(VENV)/.ready ## flash, RAM and stack of the firmware on each board
	$(BIN)/python -m hil.size

size-diff: $(VENV)/.ready ## the same against the last commit; COMMIT=... for another
	$(BIN)/python -m hil.size --diff $(COMMIT)

screenshot: $(VENV)/.ready ## the live view's picture in README.md, of a new capture of the simulated pump
	$(BIN)/python -m hil.screenshot docs/live.svg

tools: ## the cross compiler, the emulator and cppcheck, where this user may install them
	sh firmware/install-tools.sh

$(VENV)/.ready: pyproject.toml tests/constraints.txt firmware/install-tools.sh
	sh firmware/install-tools.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	command -v cc >/dev/null || command -v gcc >/dev/null || $(INSTALL) -e ".[compiler]"
	touch $@

$(VENV)/.tested: $(VENV)/.ready
	$(INSTALL) -e ".[test]"
	touch $@

clean: ## forget the virtual environment
	rm -rf $(VENV)

# Each command makes its own virtual environment in .venv first: nothing else is touched.
PYTHON ?= python3
EXTRAS ?= dev
CONSTRAINTS ?=
# The package to test: the source tree, or a wheel (then EDITABLE is empty)
PACKAGE ?= .
PYTEST_FLAGS ?= --numprocesses=auto --dist=worksteal
QUICK = not slow and not whole and (not browser or smoke)
# Empty: the tests are of the wheel, as others install it; after a change of the sources `make clean` comes first
EDITABLE ?= --editable
BIN := .venv/bin
TEST := .venv/test-$(EXTRAS)

# Run one of the page's scripts, if its tools are installed
npm = @if [ -d web/node_modules ]; then npm --prefix web run --silent $(1); else echo "no $(1) of web/: npm ci --ignore-scripts --prefix web"; fi

.PHONY: run lab test test-page test-ci test-all lint format clean

run: .venv/run
	@echo "Training the published model: microgpt train"
	@$(BIN)/microgpt train

# The installation builds the page; if its sources have changed since, it is brought up to date, if there is npm
lab: .venv/lab
	-@$(BIN)/python hatch_build.py site
	$(BIN)/microgpt lab

test: $(TEST)
	@echo "The quick tests, about 4 minutes on two cores. test-page runs those in a browser, test-all runs every test."
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m "$(QUICK)"

test-page: $(TEST)
	@echo "The tests in a browser, long ones sampled or shortened."
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m "browser and not whole"

test-ci: $(TEST)
	@echo "The quick tests, and a share of the others, drawn with a seed that the next lines show: what CI runs."
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m "not whole" --share 0.25

test-all: $(TEST)
	@echo "Every test in full, about an hour on two cores."
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/words.py
	$(call npm,lint)
	$(call npm,format:check)
	$(call npm,check)

format: $(TEST)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(call npm,format)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf web/node_modules web/public src/microgpt/lab/site

# The states of the environment, as files whose age make can compare: the command; with the page; with the tests' tools
.venv/run: pyproject.toml | .venv/bin/python
	@echo "Installing the microgpt command and compiling its kernel for this processor ..."
	@MICROGPT_NO_PAGE=1 $(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/lab: pyproject.toml | .venv/bin/python
	@echo "Building the lab's page, its WebAssembly kernel and the native kernel; this takes about a minute ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@ .venv/run

$(TEST): pyproject.toml $(CONSTRAINTS) | .venv/bin/python
	@echo "Installing microgpt, its page and the tests' tools ..."
	@$(BIN)/python -m pip install --quiet --no-compile $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) $(EDITABLE) '$(PACKAGE)[$(EXTRAS)]'
	@touch $@ .venv/lab .venv/run

.venv/bin/python:
	@echo "Creating a virtual environment in .venv ..."
	@$(PYTHON) -m venv .venv

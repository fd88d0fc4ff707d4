# Vitrina's verbs. Needs Python 3.11 or later with venv, and make; everything else goes into .venv.

VENV := .venv
PORT ?= 8000
CONSTRAINTS ?=
ARGS ?=
CHECKED := $(wildcard vitrina app benchmarks requirements test_recsys.py)

# ALS keeps its own threads; BLAS threads beside them only get in the way. Must be set before Python starts.
export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench up down requirements clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: $(VENV)/.for-use ## set up, train on sample data, register, serve on PORT (8000)
	@exec $(VENV)/bin/vitrina demo --port $(PORT) $(ARGS)

test: $(VENV)/.for-development ## set up, run all tests (ARGS go to pytest)
	@exec $(VENV)/bin/pytest $(ARGS)

check: $(VENV)/.for-development ## lint, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(CHECKED)

bench: $(VENV)/.for-development ## speed, growth and quality, printed and stored
	@exec $(VENV)/bin/python -m benchmarks $(ARGS)

up: ## build and start the whole stack (docker-compose.yaml), wait until it is healthy (ARGS: --scale app=2)
	@sh stack/write_env.sh
	docker compose build --quiet
	docker compose up --detach --wait --wait-timeout 600 $(ARGS)
	@sh stack/say_addresses.sh

down: ## stop the stack; its data stays (ARGS=--volumes removes that as well)
	docker compose down --remove-orphans $(ARGS)

requirements: $(VENV)/.for-development ## compile the requirement files again (CONSTRAINTS=FILE to move versions)
	$(VENV)/bin/python requirements/compile.py $(CONSTRAINTS)

clean: ## remove the environment and every cache, not the state in .vitrina
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.for-use: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install -q -r requirements.txt
	$(VENV)/bin/python -m pip install -q --no-deps -e .
	@touch $@

$(VENV)/.for-development: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install -q -r requirements-dev.txt
	$(VENV)/bin/python -m pip install -q --no-deps -e .
	@touch $@

$(VENV)/bin/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo 'No Python 3.11 or later with venv was found. Install one (Debian: apt install python3-venv) or name it: make PYTHON=...' >&2; \
	exit 1

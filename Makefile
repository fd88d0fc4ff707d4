# Vitrina's verbs. Needs Python 3.11 or later with venv, and make; everything else goes into .venv.

VENV := .venv
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 2
SCENARIO ?= basket
CONSTRAINTS ?=
ARGS ?=
CHECKED := $(wildcard vitrina app benchmarks requirements test_recsys.py run_mimic_load.py)

# ALS keeps its own threads; BLAS threads beside them only get in the way. Must be set before Python starts.
export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench up down requirements clean
.PHONY: devel add_user del_user train run run-prod kill train_parallel load_after_parallel_train

# Taken to the letter: without this, make would expand a dollar in a name or a password. Recipes read them as variables
# of the shell, which leaves blanks and quotes alone and shows them in no list of processes.
GIVEN := USER_NAME PASSWORD FULL_NAME EMAIL PATH_TO_DATA
$(foreach name,$(GIVEN),$(if $(value $(name)),$(eval override export $(name) := $$(value $(name)))))
NEEDS_add_user := USER_NAME
NEEDS_del_user := USER_NAME
NEEDS_train := PATH_TO_DATA
NEEDS_train_parallel := PATH_TO_DATA
EXAMPLE_USER_NAME := ann
EXAMPLE_PATH_TO_DATA := orders.xlsx
$(foreach goal,$(MAKECMDGOALS),$(foreach name,$(NEEDS_$(goal)),$(if $($(name)),,\
  $(error $(name) is missing. Write for instance: make $(goal) $(name)=$(EXAMPLE_$(name))))))

help: ## list the verbs
	@grep -E '^[a-z_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z_-]+):.*## /  make \1\t/' | expand -t 33

demo: $(VENV)/.for-use ## set up, train on sample data, register, serve on PORT (8000)
	@exec $(VENV)/bin/vitrina demo --port $(PORT) $(ARGS)

devel: $(VENV)/.for-development ## set everything up; the other verbs do it, too, when they need it
	@echo 'Ready. Next: make add_user USER_NAME=...; make train PATH_TO_DATA=...; make run-prod'

add_user: $(VENV)/.for-use ## add an account: USER_NAME= FULL_NAME= EMAIL= PASSWORD= (without PASSWORD it is asked for)
	@exec $(VENV)/bin/vitrina users add --full-name="$$FULL_NAME" --email="$$EMAIL" -- "$$USER_NAME"
add_user: export VITRINA_USER_PASSWORD := $(or $(PASSWORD),$(value VITRINA_USER_PASSWORD))

del_user: $(VENV)/.for-use ## delete an account: USER_NAME=
	@exec $(VENV)/bin/vitrina users del -- "$$USER_NAME"

train: $(VENV)/.for-use ## train on PATH_TO_DATA= and promote what the gate lets pass (SCENARIO=basket)
	@exec $(VENV)/bin/vitrina train $(SCENARIO) --data="$$PATH_TO_DATA" $(ARGS)

train_parallel: $(VENV)/.for-use ## the same beside the running server, which goes on with its model
	@exec $(VENV)/bin/vitrina train $(SCENARIO) --data="$$PATH_TO_DATA" --challenger $(ARGS)

load_after_parallel_train: $(VENV)/.for-use ## give the server the model of train_parallel, with no restart
	@exec $(VENV)/bin/vitrina promote $(SCENARIO) $(ARGS)

run: $(VENV)/.for-use ## serve on PORT (8000) until Ctrl-C
	@exec $(VENV)/bin/vitrina serve --host $(HOST) --port $(PORT) $(ARGS)

run-prod: $(VENV)/.for-use ## serve in the background, with WORKERS (2) processes
	@exec $(VENV)/bin/vitrina serve --background --host $(HOST) --port $(PORT) --workers $(WORKERS) $(ARGS)

kill: $(VENV)/.for-use ## end the server of run-prod, and no other process
	@exec $(VENV)/bin/vitrina stop $(ARGS)

test: $(VENV)/.for-development ## set up, run all tests in two processes (ARGS go to pytest; -n 0: in one)
	@exec $(VENV)/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

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
	@touch $(VENV)/.for-use $@

$(VENV)/bin/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo 'No Python 3.11 or later with venv was found. Install one (Debian: apt install python3-venv) or name it: make PYTHON=...' >&2; \
	exit 1

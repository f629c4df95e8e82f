# Gatepost's checkout: `make` lists what can be done.
.DEFAULT_GOAL := help
.PHONY: help setup up down status logs reset demo test faults fuzz bench screenshots dashboard check

PYTHON := .venv/bin/python
READY := .venv/.filled
# Where this is set, each of hundreds of starts would compile everything again: twice the time until a service is ready.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## name what this machine lacks (python3-venv, Java, Maven) and install it after a yes
	@bash deploy/local/machine.sh

up: $(READY) ## start the whole system here; prints addresses and a first login
	@$(PYTHON) -m deploy.local up

down: $(READY) ## stop it; the data stays
	@$(PYTHON) -m deploy.local down

status: $(READY) ## what runs, since when, restarted how often
	@$(PYTHON) -m deploy.local status || true

logs: $(READY) ## follow every log
	@$(PYTHON) -m deploy.local logs

reset: $(READY) ## forget what `make up` kept: data, keys, logs, passwords
	@$(PYTHON) -m deploy.local reset

demo: $(READY) ## set up everything, play the story from first login to clearing all sessions, end by itself
	@$(PYTHON) -m deploy.local demo

test: $(READY) ## set up everything and run all tests, on real Kafka and Postgres (a part: .venv/bin/python -m pytest <path>)
	@$(PYTHON) -m tests

faults: $(READY) ## the long matrix: every fault with three seeds (FAULTS='part of a name', SEEDS=3); a table at the end
	@$(PYTHON) -m tests.faults $(if $(FAULTS),"$(FAULTS)")

fuzz: $(READY) ## many more calls of the API as it is described than `make test` tries (EXAMPLES=200)
	@GATEPOST_API_EXAMPLES=$(or $(EXAMPLES),200) $(PYTHON) -m pytest --system=fuzz --timeout=3600 tests/api

bench: $(READY) ## measure rates, delays, processor time and memory; a part with ROWS=flows,checks (docs/performance.md)
	@PYTHONPATH=clients/python $(PYTHON) -m tests.bench $(if $(ROWS),--rows $(ROWS)) $(if $(MINUTES),--minutes $(MINUTES)) $(BENCH)

screenshots: $(READY) ## pictures of every page, light and dark, in .gatepost/screenshots/; the best come to docs/pictures/
	@$(PYTHON) -m tests.browser.screenshots

dashboard: $(READY) ## what Grafana's dashboard shows of a short run, drawn into docs/pictures/dashboard.svg
	@$(PYTHON) -m tests.monitoring.picture

check: $(READY) ## format, lint, types, arrows between the layers, sizes
	@.venv/bin/ruff format --check -q .
	@.venv/bin/ruff check -q .
	@.venv/bin/mypy
	@PYTHONPATH=clients/python .venv/bin/lint-imports
	@$(PYTHON) -m tests.sizes

# The virtual environment is filled again whenever the lock changes.
$(READY): requirements.lock
	@bash deploy/local/machine.sh
	@test -x .venv/bin/python || { echo "making .venv …"; python3 -m venv .venv; }
	@echo "installing what requirements.lock names …"
	@bash deploy/local/installed.sh
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/.venv/bin/python" -m services "$$@"\n' "$(CURDIR)" "$(CURDIR)" > .venv/bin/gatepost
	@chmod +x .venv/bin/gatepost
	@touch $(READY)

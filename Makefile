# `make up` brings a bare Debian or Ubuntu machine to a running cluster; see README.md.
NODES ?= 2
PYTHON_IN = .venv/bin/python
CLOUDCTL = $(PYTHON_IN) -m cloudctl

.PHONY: help setup up images down test lab lint bench clean install

help:            ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup:           ## packages, virtual environment, Docker
	@deploy/setup.sh

up: setup images ## a cluster of $(NODES) nodes with the example application answering
	@$(CLOUDCTL) up --nodes $(NODES)
	@$(PYTHON_IN) deploy/examples/show.py

images: setup    ## the example's images, made from Debian packages
	@$(PYTHON_IN) deploy/images/build.py

down:            ## stop the cluster; its data stays
	@$(CLOUDCTL) down

test: setup images ## every test
	@$(PYTHON_IN) -m pytest

lab: setup images ## the fault matrix on a lab of systemd machines, then its long tests
	@$(PYTHON_IN) -m tests.lab
	@$(PYTHON_IN) -m pytest -m long -s tests/lab

lint: setup      ## ruff, mypy, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: setup images ## print the figures with their targets, measured now
	@$(PYTHON_IN) -m tests.bench

clean:           ## stop the cluster, delete its data, the images and the virtual environment
	@if [ -x $(PYTHON_IN) ]; then $(CLOUDCTL) down --delete; $(CLOUDCTL) delete cluster --all; \
		$(PYTHON_IN) deploy/images/build.py --remove; fi
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

install: setup   ## Cloudlet's programs onto this VM, for `cloudctl init` or `join`; see docs/vms.md
	@deploy/install.sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# where recipes/replication look for pretrained weights
WEIGHTS ?= $(or $(KDZOO_WEIGHTS),$(HOME)/.cache/kdzoo)

.PHONY: quickstart weights test lint clean

quickstart: $(VENV)/installed
	$(BIN)/kdzoo run recipes/quickstart.toml

weights: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[gguf]'
	$(BIN)/python recipes/replication/weights.py $(WEIGHTS)/smollm2-135m-instruct

test: $(VENV)/installed-test
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV)

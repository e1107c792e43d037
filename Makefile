# Two commands for a bare clone: `make demo` and `make test`; `make gallery` for all
# examples on one page. Each creates .venv on first use and is quick to repeat.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := examples/information_flow/plot_szt_information_flow.py

.PHONY: demo gallery gallery-full test test-slow test-backends lint clean

demo: $(VENV)/demo.installed
	MPLBACKEND=Agg $(RUN) $(DEMO)

gallery: $(VENV)/docs.installed
	$(RUN) examples/make_gallery.py

gallery-full: $(VENV)/docs.installed
	$(RUN) examples/make_gallery.py --full

test: $(VENV)/test.installed
	MPLBACKEND=Agg $(RUN) -m pytest

test-slow: $(VENV)/test.installed
	MPLBACKEND=Agg $(RUN) -m pytest -m slow

test-backends: $(VENV)/test.installed
	$(INSTALL) --editable '.[test,backends]'
	MPLBACKEND=Agg $(RUN) -m pytest -m backends

lint: $(VENV)/test.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) results

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[plot,fast]'
	touch $@

$(VENV)/docs.installed: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[docs]'
	touch $@ $(VENV)/demo.installed

$(VENV)/test.installed: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[test]'
	touch $@ $(VENV)/demo.installed

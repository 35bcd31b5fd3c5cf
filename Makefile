# Every target creates its own .venv when there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.ready-docs

.PHONY: demo test test-slow test-lowest test-wheel docs lint types study clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	touch $(READY)

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $(DOCS_READY)

demo: $(READY)
	$(BIN)/trfjax demo

test: $(READY)
	$(BIN)/python -m pytest -n 2

# Minutes to hours: networks that learn, the oldest dependencies, the installed wheel.
test-slow: $(READY) test-lowest test-wheel
	$(BIN)/python -m pytest -n 2 -m slow

test-lowest:
	PYTHON=$(PYTHON) .ci/lowest

test-wheel:
	PYTHON=$(PYTHON) .ci/wheel

# The quick form: that a whole study runs, not what it finds.
study: $(READY)
	$(BIN)/python scripts/synthetic_study.py --quick --out build/study

docs: $(DOCS_READY)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs
	@echo "open build/docs/index.html"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright

clean:
	rm -rf $(VENV) .cache build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

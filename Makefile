# Two commands matter: `make demo` and `make test`. Each makes the virtual environment and fetches what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EMBEDDED := smollm2-135m-instruct all-minilm-l6-v2

.PHONY: demo test lint format bench docs install models clean help

help:
	@echo "make demo   advise on examples/support with the two embedded models"
	@echo "make test   run the tests"
	@echo "make lint   ruff, mypy --strict, import layers"
	@echo "make bench  run every benchmark, quickly (NAME=x for one, whole)"
	@echo "make docs   regenerate docs/cli.md"
	@echo "make clean  remove the virtual environment and everything built"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "pilotfish: setting up $(VENV) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[train]" --group dev
	@touch $@

# No stamp: the models live in the user's cache, which may be cleared; what is there is found in a moment.
models: $(STAMP)
	@$(BIN)/pilotfish models pull $(EMBEDDED)

demo: models
	$(BIN)/pilotfish advise examples/support/advise.toml --out out/demo

# A process a core: each test takes one thread. A file stays in one process, so that what it loads is loaded once.
# Byte code is kept whatever the shell says: hundreds of processes would compile every module anew.
test: models
	env -u PYTHONDONTWRITEBYTECODE HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: models
	$(BIN)/python -m benchmarks $(if $(NAME),$(NAME),all --quick) $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m pilotfish.cli._docs > docs/cli.md

clean:
	rm -rf $(VENV) .bench out .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

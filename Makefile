# One line per task; the work is in scripts/. Needs git, make and Python 3.11 or newer, nothing else.
# Options for the platform: make run ARGS="--port 9000 --data-dir /srv/mlplatform"

.DEFAULT_GOAL := help
.PHONY: help run install test lint bench format lock clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p; s/^\([a-z-]*\):  ## /  make \1\t/p' Makefile

run:  ## Install what is needed and start the platform on http://127.0.0.1:8000
	@MLPLATFORM_ENDS_WITH_PARENT=$$PPID exec scripts/run.sh $(ARGS)

install:  ## Only create or refresh the environment .venv
	@exec scripts/install.sh run

test:  ## Install, check style, types and layers, and run every test (ARGS go to pytest)
	@exec scripts/test.sh $(ARGS)

lint:  ## Style, types and layers only
	@exec scripts/lint.sh

bench:  ## Run every benchmark and write docs/benchmarks.md (ARGS="invocation sampler" for some of them, --list for their names)
	@exec scripts/bench.sh $(ARGS)

format:  ## Rewrite the sources in the house's format
	@exec scripts/format.sh

lock:  ## Recompile requirements/*.txt from requirements/*.in (ARGS="--upgrade" for newer versions)
	@exec scripts/lock.sh $(ARGS)

clean:  ## Remove the environment and caches (the data directory stays)
	rm -rf .venv .venv-tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

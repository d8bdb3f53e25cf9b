# Two commands matter: `make demo` shows the loop closing, `make test` shows that it holds.
VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= python3

# uv looks where pip is told to look (a CPU build of torch on disk, a mirror); its lists are comma-separated.
comma := ,
empty :=
space := $(empty) $(empty)
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
ifneq ($(PIP_INDEX_URL),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# Hundreds of processes import this package: the first one leaves its bytecode to the others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo test unit lint test-gpu fuzz bench-digest bench-registry bench-drift bench-honesty bench-gates bench-shadow bench-serving clean
help:
	@echo "make demo      the loop on real data: Airflow, MLflow, eight months of flights (about 6 minutes)"
	@echo "make test      everything that Python packages alone can run (23 minutes on 2 cores)"
	@echo "make unit      pure tests and doctests, no server, no Airflow (seconds)"
	@echo "make lint      ruff, mypy, import-linter, and the schemas of workflows and docker-compose.yaml"
	@echo "make test-gpu  what needs an NVIDIA GPU"
	@echo "make fuzz      kill -9 at every call to MLflow, writers and servers (hours; FUZZ_KILLS=60: a quarter of one)"
	@echo "make bench-digest, bench-registry, bench-drift, bench-honesty, bench-gates, bench-shadow, bench-serving   the figures of benchmarks/README.md"

venv: $(READY)
$(READY): pyproject.toml constraints.txt hatch_build.py airflow_provider_ifp/adapters/counting/binning_kernel.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.9"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[all,dev]'
	@touch $@

demo: $(READY)
	$(BIN)/ifp demo $(DEMO_ARGS)

# Three workers on two cores: while one waits for Airflow, the others go on.
test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not gpu" $(PYTEST_ARGS)

unit: $(READY)
	$(BIN)/python -m pytest tests/unit airflow_provider_ifp -m "not server and not airflow and not browser and not gpu" $(PYTEST_ARGS)

test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu $(PYTEST_ARGS)

FUZZ_KILLS ?= 600
fuzz: $(READY)
	IFP_FUZZ_KILLS=$(FUZZ_KILLS) $(BIN)/python -m pytest tests/fault $(PYTEST_ARGS)

# The digests that ours is compared with have an environment of their own.
bench-digest: $(READY)
	$(PYTHON) -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python -c constraints.txt -e . polars==2.1.0 duckdb==2.0.1
	.venv-bench/bin/python benchmarks/digest.py $(BENCH_ARGS)

bench-registry: $(READY)
	MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT=true $(BIN)/python benchmarks/registry_size.py $(BENCH_ARGS)

# Peers get environments of their own, from PyPI.
bench-drift: $(READY)
	$(BIN)/python benchmarks/drift_speed.py --peers all $(BENCH_ARGS)
	MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT=true MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
	  $(BIN)/python benchmarks/drift_window.py

bench-honesty: $(READY)
	$(BIN)/python benchmarks/drift_honesty.py --peers evidently,nannyml,alibi $(BENCH_ARGS)

bench-gates: $(READY)
	$(BIN)/python benchmarks/gate_intervals.py $(BENCH_ARGS)

bench-shadow: $(READY)
	$(BIN)/python benchmarks/shadow.py $(BENCH_ARGS)

bench-serving: $(READY)
	MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT=true $(BIN)/python benchmarks/serving.py $(BENCH_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml

clean:
	rm -rf $(VENV) .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis

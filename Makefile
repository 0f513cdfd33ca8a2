# Every command a person types. `make` alone prints them. The launcher (launch/) does the work: any Python >= 3.8.
PYTHON ?= python3
# SPLIT and STORE hold arguments of the makers of worlds and of arrays, ARGS of pytest, BENCH of the benchmarks.
SPLIT ?=
STORE ?=
ARGS ?=
MEMBERS := $(notdir $(patsubst %/experiments.py,%,$(wildcard members/*/experiments.py)))
VARIABLES := RUNTIME STACK PROFILE RAW_DATA SUBMISSION WEIGHTS EXPERIMENTS TABLE POSTPROCESS DEVICE MODE ARTIFACTS BENCH \
  WHAT MONTHS DRIVE DROP
$(foreach v,$(VARIABLES),$(if $(filter command line,$(origin $(v))),$(eval export $(v))))
LAUNCH := @PYTHONPATH=shared:. $(PYTHON) -m launch

.PHONY: help reproduce infer-only blend plan doctor verify fetch world statistics split store bases check test test-end-to-end test-all lint bench clean $(MEMBERS)
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@for m in $(MEMBERS); do printf "  make %-12s %s\n" $$m "$$m alone: trains and predicts (MODE=infer-only: predicts)"; done
	@echo "  choices: RUNTIME=docker|venv STACK=published|modern PROFILE=sample|full RAW_DATA=dir SUBMISSION=dir"
	@echo "           EXPERIMENTS=195,197 TABLE=v10|searched[.form][.scope]|file.csv|file.pt DEVICE=auto|cpu|cuda"

reproduce: ## train everything, infer, blend (the sample world where raw_data is empty)
	$(LAUNCH) reproduce
infer-only: ## published checkpoints -> submission parquets -> blend
	$(LAUNCH) infer-only
$(MEMBERS):
	$(LAUNCH) $@
blend: ## the blend alone: weights, parquet, scores, report (TABLE=.. POSTPROCESS=positivity,fluxes)
	$(LAUNCH) blend
plan: ## what would run, what is skipped, why; starts nothing
	$(LAUNCH) plan
doctor: ## what this machine has and what is missing
	$(LAUNCH) doctor
verify: ## check submission/subs, admit parquets of your own (ARTIFACTS=a,b)
	$(LAUNCH) verify
fetch: ## the data: what is there, what is missing; WHAT="kaggle statistics weights steps drop" MONTHS=.. DRIVE=..
	$(LAUNCH) fetch
world: ## make the sample world alone
	$(LAUNCH) world
statistics: ## mean and std of train.csv for both families, where you do not take the published ones
	$(LAUNCH) statistics
split: ## a scored world from step files (SPLIT="--steps DIR --to DIR --train .. --validation .. --test ..")
	$(LAUNCH) split $(SPLIT)
store: ## step files as one array of rows a month (STORE="--to DIR --months 0008-01:0008-03 [--scheduler tcp://..]")
	$(LAUNCH) store $(STORE)
bases: ## base images where no image registry can be reached (Debian, root)
	@containers/make-bases all --wheels auto
check: ## format, lint, types and the unit tests: a minute (ARGS="-k word")
	$(LAUNCH) check $(ARGS)
test: ## before you hand over: check, processes, and what depends on torch on all stacks (ARGS="-k word")
	$(LAUNCH) test $(ARGS)
test-end-to-end: ## whole commands as a user gives them, in containers and without
	$(LAUNCH) test-end-to-end $(ARGS)
test-all: test test-end-to-end ## everything
lint: ## ruff and mypy
	$(LAUNCH) lint
bench: ## the hot steps against the published way, in one table
	$(LAUNCH) bench
clean: ## remove the sample world, its results' caches and the environments; never your data or results
	rm -rf raw_data/sample .venvs submission/subs/.cache submission/blend/.cache

# Every command that a person types; `make` alone lists them. The launcher (launch/) does the work,
# on any Python >= 3.8. It reads variables such as RUNTIME=venv from its environment: make exports
# those of the command line. launch/options.py is their list.
PYTHON ?= python3
# The variables of the command line, by name: the launcher says which others the shell exports.
export LEAP_TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
# What the command line gives is text: make expands no $ in it, and no recipe holds it. The launcher
# finds it in its environment, also the arguments that are passed on (SPLIT, STORE, ARGS).
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),\
	$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
MEMBERS := $(notdir $(patsubst %/experiments.py,%,$(wildcard members/*/experiments.py)))
# The launcher stops if this make is killed (shared/leapkit/core/stops.py).
LAUNCH := @LEAP_PARENT=$$PPID exec $(PYTHON) -m launch

.PHONY: help reproduce infer-only blend predict export stack distil plan slurm doctor verify evaluate
.PHONY: fetch world statistics split store
.PHONY: bases sifs bundle unbundle
.PHONY: check test test-end-to-end test-all lint bench clean $(MEMBERS)
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'
	@for member in $(MEMBERS); do printf "  make %-15s %s\n" $$member \
		"$$member alone: train and predict (MODE=infer-only: predict)"; done
	@echo "variables, as in make reproduce RUNTIME=venv:"
	$(LAUNCH) variables

reproduce: ## train everything, predict, blend (the sample world if raw_data has no test.csv)
	$(LAUNCH) reproduce
infer-only: ## published checkpoints -> submission parquets -> blend
	$(LAUNCH) infer-only
$(MEMBERS):
	$(LAUNCH) $@
blend: ## the blend alone: weights, parquet, scores, report (TABLE=.. POSTPROCESS=positivity,fluxes)
	$(LAUNCH) blend
predict: ## a network or a blend on columns of your own (NETWORK=max2020/022 INPUTS=.. TO=file.nc)
	$(LAUNCH) predict
export: ## a network or a blend as files for other programs (NETWORK=.. TO=folder FORMATS=..)
	$(LAUNCH) export
stack: ## a blend corrected by a small network over the levels, cross-fitted (TABLE=searched)
	$(LAUNCH) stack
distil: ## the student, trained on what a network or a blend predicts (TEACHER=searched TO=folder)
	$(LAUNCH) distil
plan: ## what would run, what is skipped, and why; starts nothing
	$(LAUNCH) plan
slurm: ## the plan as batch jobs of Slurm (SUBMIT=1 SLURM="--account=A" HOURS=24 GPUS=1 PACK=4)
	$(LAUNCH) slurm
doctor: ## what this machine has, what you can run now, and the commands that give the rest
	$(LAUNCH) doctor
verify: ## check submission/subs, admit parquets of your own (ARTIFACTS=a,b)
	$(LAUNCH) verify
evaluate: ## what the field prints of predictions: metrics, pages (ROWS=.. PREDICTIONS=file.nc)
	$(LAUNCH) evaluate
fetch: ## the data: what exists, what is missing (WHAT="kaggle statistics" MONTHS=.. DRIVE=..)
	$(LAUNCH) fetch
world: ## make the sample world alone
	$(LAUNCH) world
statistics: ## mean and std of train.csv for both families, if you do not take the published ones
	$(LAUNCH) statistics
split: ## a data set of your own from step files, with its truth (SPLIT="--steps DIR --to DIR ..")
	$(LAUNCH) split
store: ## step files as one array of rows a month (STORE="--to DIR --months 0008-01:0008-03")
	$(LAUNCH) store
sifs: ## the images as files, for a machine with Apptainer (DEVICE=cuda EXPERIMENTS=.. NETWORK=..)
	$(LAUNCH) sifs
bases: ## base images if no image registry can be reached (Debian, root)
	@containers/make-bases all --wheels auto
bundle: ## all that a machine without a network needs, in a folder (BUNDLE=.. DEVICE=cuda)
	$(LAUNCH) bundle
unbundle: ## check a bundle's sums, and install what it holds (BUNDLE=..)
	$(LAUNCH) unbundle
check: ## format, lint, types and the unit tests: two minutes (ARGS="-k word")
	$(LAUNCH) check
test: ## check, tests with processes, what depends on torch on three stacks (ARGS="-k word")
	$(LAUNCH) test
test-end-to-end: ## whole commands as a user gives them, in containers and without
	$(LAUNCH) test-end-to-end
test-all: test test-end-to-end ## make test, then make test-end-to-end
lint: ## ruff and mypy
	$(LAUNCH) lint
bench: ## the hot steps against the published way, in one table
	$(LAUNCH) bench
clean: ## remove the sample world, caches and environments; never your data or results
	rm -rf raw_data/sample .venvs submission/subs/.cache submission/blend/.cache

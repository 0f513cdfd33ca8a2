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

.PHONY: help variables doctor reproduce plan report
.PHONY: fetch infer-only verify blend submit slurm $(MEMBERS)
.PHONY: predict export evaluate distil stack member
.PHONY: world split store statistics sifs sbom bases bundle unbundle
.PHONY: check test test-end-to-end test-all lint bench clean
help: ## this list
	@awk -F ':[^#]*## ' '/^##@ / { print substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "one member alone: train and predict (MODE=infer-only: predict)"
	@echo " $(MEMBERS:%= make %)"
variables: ## the variables, as in make reproduce RUNTIME=venv
	@echo "as in make reproduce RUNTIME=venv; behind a semicolon what is taken without it"
	$(LAUNCH) variables
	@echo "what one command takes: $(PYTHON) -m launch COMMAND --help; more in docs/running.md"

##@ first
doctor: ## what this machine has, and what you can run now
	$(LAUNCH) doctor
reproduce: ## train, predict, blend; without data, in a small world
	$(LAUNCH) reproduce
plan: ## what would run, why, and how long; starts nothing
	$(LAUNCH) plan
report: ## one page on what ran: times, curves, scores, receipts
	$(LAUNCH) report

##@ the published solution
fetch: ## the data: what is missing, and getting it (WHAT=..)
	$(LAUNCH) fetch
infer-only: ## the team's checkpoints -> parquets -> blend
	$(LAUNCH) infer-only
$(MEMBERS):
	$(LAUNCH) $@
verify: ## check submission/subs, admit parquets of your own
	$(LAUNCH) verify
blend: ## the blend alone: weights, parquet, scores (TABLE=..)
	$(LAUNCH) blend
submit: ## a blend or networks to Kaggle, and how the score stands
	$(LAUNCH) submit
slurm: ## the plan as batch jobs, which SUBMIT=1 submits
	$(LAUNCH) slurm

##@ use what was reproduced
predict: ## a network or a blend on your columns (NETWORK=..)
	$(LAUNCH) predict
export: ## the same as files for other programs (NETWORK=..)
	$(LAUNCH) export
evaluate: ## what the field prints: metrics, sections, maps, budgets
	$(LAUNCH) evaluate
distil: ## one small network that learns from it (TEACHER=..)
	$(LAUNCH) distil

##@ beyond it
stack: ## a small network over the levels that corrects a blend
	$(LAUNCH) stack
member: ## a member of your own, which trains at once (NAME=alice)
	$(LAUNCH) member

##@ data sets
world: ## the sample world alone
	$(LAUNCH) world
split: ## one of your own from step files, with truth (SPLIT=..)
	$(LAUNCH) split
store: ## step files as one array of rows a month (STORE=..)
	$(LAUNCH) store
statistics: ## mean and std of train.csv, if not the published ones
	$(LAUNCH) statistics

##@ images, and machines without a network
sifs: ## the images as files, for a machine with Apptainer
	$(LAUNCH) sifs
sbom: ## what images or environments hold, as CycloneDX documents
	$(LAUNCH) sbom
bases: ## base images where no registry answers (Debian, root)
	@containers/make-bases all --wheels auto
bundle: ## all that a machine without a network needs (BUNDLE=..)
	$(LAUNCH) bundle
unbundle: ## check a bundle, install what it holds (BUNDLE=..)
	$(LAUNCH) unbundle

##@ development
check: ## format, lint, types, unit tests: two minutes (ARGS=..)
	$(LAUNCH) check
test: ## check, and tests on three versions of torch (ARGS=..)
	$(LAUNCH) test
test-end-to-end: ## whole commands, in containers and without (ARGS=..)
	$(LAUNCH) test-end-to-end
test-all: test test-end-to-end ## make test, then make test-end-to-end
lint: ## ruff and mypy
	$(LAUNCH) lint
bench: ## the slow steps against the published way (BENCH=..)
	$(LAUNCH) bench
clean: ## remove sample world, caches, environments; not results
	rm -rf raw_data/sample .venvs submission/subs/.cache submission/blend/.cache

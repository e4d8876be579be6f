# Every target sets up .venv by itself. `make help` explains them.
#
# Variables of the tables and figures:
#   DATA=folder        where CIFAR-10 is (default data/cifar10, downloaded into it if missing), or ImageNet, or a
#                      subset of it (default data/imagenet)
#   SEEDS="0 1 2"      one run of each network per seed (default 0)
#   STEPS=6000         a shortened schedule, in runs of their own
#   ONLY="resnet20"    some of the networks
#   JOBS=2             runs at the same time
#   WITH=file.yaml     settings laid over every experiment
#   RETRY=1            try again what has failed before
#   SUBMIT=file.yaml   send the runs to a cluster, such as experiments/clusters/slurm.yaml
#   PRINT=1            run nothing: print one command line for each run that is missing
#   SWEEP=name=1,2,3   every run with each value of a setting, such as model.optimizer.init_args.lr=0.05,0.1,0.2
#   WEIGHTS=folder     torchvision's weight files: tables 3 to 5 evaluate them instead of training, 7 to 9 begin with
#                      them, complexity puts them beside
# Variables of complexity: ONLY="alexnet resnet50", ADD="mine.Network mine.yaml", BATCHES="1 8", AGAINST=results/...json
# Other variables: STUDY of study, report, keep and dashboard, A to F of compare, CONFIG and ARGS of fit, NAME, FROM and
#   ARGS of new, PYTHON that makes .venv

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m resnet_lightning
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
PACKAGE := resnet_lightning/studies
STUDIES := $(shell sed -n '/^STUDIES = (/,/^)/s/^ *"\(.*\)",$$/\1/p' $(PACKAGE)/__init__.py)

options = $(if $(DATA),--data "$(DATA)") $(if $(SEEDS),--seeds $(SEEDS)) $(if $(STEPS),--steps $(STEPS)) \
	$(if $(JOBS),--jobs $(JOBS)) $(if $(ONLY),--only $(ONLY)) $(if $(WITH),--with $(WITH)) \
	$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(RETRY),--retry) $(if $(PRINT),--print) \
	$(if $(SUBMIT),--submit "$(SUBMIT)") $(if $(SWEEP),--sweep "$(SWEEP)")

compared = $(if $(ONLY),--only $(ONLY)) $(if $(ADD),--add $(ADD)) $(if $(BATCHES),--batches $(BATCHES)) \
	$(if $(AGAINST),--against "$(AGAINST)") $(if $(WEIGHTS),--weights "$(WEIGHTS)" --data "$(or $(DATA),data/imagenet)")

BASE = $(firstword $(wildcard $(dir $(CONFIG))base.yaml $(dir $(CONFIG))../base.yaml))

.PHONY: help setup $(STUDIES) compare new study report keep dashboard watch plan fit bench benchinput complexity test longtests faults slurm lint types check

help: ## what every target does
	@for study in $(STUDIES); do \
		sed -n "s/^    title=\"\(.*\)\",$$/  make $$study\t\1/p" $(PACKAGE)/$$study.py | expand -t 22; done
	@grep -hE '^[a-z0-9 ]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@sed -n 's/^# Var/\nVar/p; s/^#   /  /p; s/^# Other/Other/p' Makefile

setup: $(VENV)/.ready ## make .venv with everything in it

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 2; }
ifeq ($(UV),)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (PyTorch is large: a minute or more)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
else
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

$(STUDIES): setup
	@$(RUN) study $@ $(options)

gradients: vanishing
table1 vanishing: options := # they train nothing

compare: setup ## is one experiment better? A=experiments/digits/resnet20.yaml B=experiments/digits/plain20.yaml; C to F
	@test -n "$(A)" -a -n "$(B)" || { echo "make compare needs A=file and B=file, such as experiments/digits/resnet20.yaml"; exit 2; }
	@$(RUN) compare "$(A)" "$(B)" $(C) $(D) $(E) $(F) $(options)

new: setup ## an experiment of your own: NAME=mine/idea FROM=digits/resnet20 ARGS="--model.network.init_args.depth 32"
	@$(RUN) new "$(NAME)" --from "$(FROM)" $(ARGS)

study: setup ## a study of your own: STUDY=experiments/mine/study.yaml, with a title and a list of experiments
	@$(RUN) study "$(STUDY)" $(options)

report: setup ## tables and figures of the runs that there are, for STUDY=table6
	@$(RUN) report $(or $(STUDY),table6)

keep: setup ## copy what finished runs measured into results/, for STUDY=table6
	@$(RUN) keep $(or $(STUDY),table6) $(if $(DATA),--data "$(DATA)")

dashboard: setup ## the same on Weights & Biases, for STUDY=table6: a workspace of curves, and a report
	@$(RUN) dashboard $(or $(STUDY),table6)

watch: setup ## curves of all runs that are recorded offline in runs/, in the terminal, also while they are made
	@rm -rf runs/.watch && mkdir -p runs/.watch
	@find runs -type d -path '*/wandb/offline-run-*' -prune -exec ln -s "$(CURDIR)/{}" runs/.watch \;
	@test -n "$$(ls runs/.watch)" || { echo "make watch: no run in runs/ is recorded offline"; exit 2; }
	@$(BIN)/wandb leet runs/.watch

plan: setup ## how long every study takes, by the speed of the runs that there are
	@$(RUN) plan $(if $(SEEDS),--seeds $(words $(SEEDS)))

fit: setup ## one run: CONFIG=experiments/cifar10/table6/resnet20.yaml ARGS="--trainer.max_steps 1000"
	@test -f "$(CONFIG)" || { echo "make fit needs CONFIG=file, such as experiments/cifar10/table6/resnet20.yaml"; exit 2; }
	@$(RUN) fit $(BASE:%=--config %) --config "$(CONFIG)" $(if $(DATA),--data.root "$(DATA)") $(ARGS)

bench: setup ## images per second, beside a plain training loop
	@$(RUN) bench $(if $(DATA),--data "$(DATA)")

benchinput: setup ## images per second that are read from DATA=folder of image files, beside the usual ways
	@$(RUN) bench-input $(if $(DATA),--data "$(DATA)")

complexity: setup ## operations, memory, time and energy of AlexNet, VGG, ResNets and others, on this device
	@$(RUN) complexity $(compared)

test: setup ## the tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

longtests: setup ## the tests that take half a minute each
	@$(BIN)/python -m pytest -q -m long

faults: setup ## a study that is killed, damaged and starved of disk space 40 times: some ten minutes
	@$(BIN)/python tests/faults.py $(ARGS)

slurm: setup ## runs under a real SLURM on this machine: its time limit, preemption, cancelling
	@tests/slurm.sh

lint: setup ## formatting and common mistakes
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## static types
	@$(BIN)/mypy

check: lint types test ## all of the three

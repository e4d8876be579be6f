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
#   WEIGHTS=folder     of tables 3 to 5: evaluate torchvision's weight files instead of training
# Other variables: STUDY of report, keep and dashboard, CONFIG and ARGS of fit, PYTHON that makes .venv

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m resnet_lightning
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
STUDIES := demo degradation figure1 figure4 figure6 figure7 gradients lesions table1 table2 table3 table4 table5 table6

options = $(if $(DATA),--data "$(DATA)") $(if $(SEEDS),--seeds $(SEEDS)) $(if $(STEPS),--steps $(STEPS)) \
	$(if $(JOBS),--jobs $(JOBS)) $(if $(ONLY),--only $(ONLY)) $(if $(WITH),--with $(WITH)) \
	$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(RETRY),--retry) $(if $(PRINT),--print) \
	$(if $(SUBMIT),--submit "$(SUBMIT)")

BASE = $(firstword $(wildcard $(dir $(CONFIG))base.yaml $(dir $(CONFIG))../base.yaml))

.PHONY: help setup $(STUDIES) report keep dashboard watch plan fit bench benchinput test faults slurm lint types check

help: ## what every target does
	@grep -hE '^[a-z0-9 ]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 20
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

demo: setup ## plain and residual networks side by side on handwritten digits: the degradation, in minutes
	@$(RUN) study demo $(options)

degradation: setup ## figure 1 and its numbers, with and without shortcuts
	@$(RUN) study degradation $(options)

figure1: setup ## figure 1: a deeper plain network has the higher training error
	@$(RUN) study figure1 $(options)

figure6: setup ## figure 6: training of plain and residual networks on CIFAR-10
	@$(RUN) study figure6 $(options)

table6: setup ## table 6: test errors of ResNet-20 to ResNet-1202 on CIFAR-10
	@$(RUN) study table6 $(options)

table1: setup ## table 1: layers, sizes, parameters and multiply-adds of the ImageNet networks; trains nothing
	@$(RUN) study table1

table2: setup ## table 2: plain and residual networks of 18 and 34 layers on ImageNet
	@$(RUN) study table2 $(options)

table3: setup ## table 3: shortcuts A, B and C, and 50, 101 and 152 layers, tested with ten crops
	@$(RUN) study table3 $(options)

table4: setup ## table 4: the networks of table 3, tested at all positions of five scales
	@$(RUN) study table4 $(options)

table5: setup ## table 5: the ensemble of the networks of table 4
	@$(RUN) study table5 $(options)

figure4: setup ## figure 4: training of the networks of table 2
	@$(RUN) study figure4 $(options)

figure7: setup ## figure 7: the strength of layer responses in plain and residual networks on CIFAR-10
	@$(RUN) study figure7 $(options)

gradients: setup ## gradient norms of every layer, with and without shortcuts and batch normalisation
	@$(RUN) study vanishing
	@$(RUN) study gradients $(options)

lesions: setup ## test errors without single blocks of trained networks, and how much each block adds
	@$(RUN) study lesions $(options)

report: setup ## tables and figures of the runs that there are, for STUDY=table6
	@$(RUN) report $(or $(STUDY),table6)

keep: setup ## copy what finished runs measured into results/, for STUDY=table6
	@$(RUN) keep $(or $(STUDY),table6)

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

test: setup ## the tests
	@$(BIN)/python -m pytest -q

faults: setup ## a study that is killed, damaged and starved of disk space 40 times: some ten minutes
	@$(BIN)/python tests/faults.py $(ARGS)

slurm: setup ## runs under a real SLURM on this machine: its time limit, preemption, cancelling
	@tests/slurm.sh

lint: setup ## formatting and common mistakes
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## static types
	@$(BIN)/mypy

check: lint types test ## all of the three

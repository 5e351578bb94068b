# Two commands for a new user: `make demo` and `make test`. Everything else is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per process: two processes on two cores beat one process on two threads.
export OMP_NUM_THREADS ?= 1
# Some shells forbid bytecode: then every process compiles all that it imports, torch for seconds.
export PYTHONDONTWRITEBYTECODE :=

RFT := --family faster --family in_front --family right_of
SEEN := --family colour --family side --family order

.PHONY: help setup rft geometry demo check format test test-together test-alone test-slow test-gpu faults fuzz soak bench bench-gpu guard calibration schemas docs page peers clean

help:
	@echo "make demo       install into .venv and annotate a rendered clip: summary, film, page"
	@echo "make test       install what the tests need and run them"
	@echo "make check      format, lint, types, import layers, schemas"
	@echo "make test-slow  the tests that take minutes; make test-gpu: those that need CUDA"
	@echo "make faults     the tests that kill processes; make bench: the numbers of BENCHMARKS.md"
	@echo "make bench-gpu  seconds a clip by profile, busy share and memory, where there is CUDA"
	@echo "make fuzz       COUNT damaged inputs through every door; make soak: CLIPS clips under kills"
	@echo "make calibration  make the shipped calibrations again: renders and annotates 512 clips twice"
	@echo "make guard      do BASE (default HEAD~1) and HEAD (the working tree) write the same datasets?"
	@echo "make rft        the tiny model of docs/training.md, at full length"
	@echo "make geometry   its ablation: profile as text, geometry as tokens"
	@echo "make schemas    write schemas/ from the table declarations"
	@echo "make page       docs/demo/: the demo's clip and ten questions, as pages to open without a server"
	@echo "make peers      datasets, pycocotools, rerun-sdk, datumaro and lmms-eval read what is exported"
	@echo "make docs       the documentation as pages, docs/_build/html; a warning is an error"

# Modules are compiled when they are first imported: most of torch and transformers never are.
PIP := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt "torch==2.13.*"
	$(PIP) -c constraints.txt -e ".[models,rft,dev]"
	@touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/massannot demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/massannot schemas --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Two processes on two cores, files in their order: the long ones come first, so that no process
# waits for the other at the end. What starts machines and kills processes runs one at a time.
test: test-together test-alone

test-together: setup
	$(BIN)/python -m compileall -q massannot
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/faults

test-alone: setup
	$(BIN)/python -m pytest tests/faults

test-slow: setup
	$(BIN)/python -m pytest -m slow

test-gpu: setup
	$(BIN)/python -m pytest -m gpu

faults: setup
	$(BIN)/python -m pytest -m faults

COUNT ?= 10000
SEED ?= 0
fuzz: setup
	$(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED)

CLIPS ?= 2000
soak: setup
	$(BIN)/python -m tests.faults.soak --clips $(CLIPS)
	$(BIN)/python -m tests.faults.soak --clips $(CLIPS) --bucket
	$(BIN)/python -m tests.faults.soak --clips $(CLIPS) --ray

bench: setup
	$(BIN)/python -m tests.bench

bench-gpu: setup
	$(BIN)/python -m tests.bench.on_gpu

calibration: setup
	$(BIN)/python -m tools.make_calibrations --work calibration-out

BASE ?= HEAD~1
HEAD ?=
guard: setup
	$(BIN)/python tools/guard.py $(BASE) $(HEAD)

# The arms: no training (before/ of each), supervised, GRPO, T-GRPO, supervised then T-GRPO; these
# two without the profile; blind. FEW steps of reinforcement take as long as all supervised ones;
# few-sft answers as many questions as they. Two at a time. The scores are of all seeds trained so
# far: `make rft SEED=1`, then `SEED=2`, and they are the means of three.
FEW := --steps 78
R := rft-out/seed-$(SEED)
RFT_ARMS := both tgrpo plain grpo blind
rft: setup
	$(MAKE) -j 2 rft-out/asked rft-out/held-out
	$(MAKE) -j 2 $(addprefix $(R)/,$(RFT_ARMS) few-sft)
	$(MAKE) -j 2 rft-out/scores rft-out/few-scores

rft-out/asked:
	$(BIN)/massannot questions scenes $@ --count 400 --views 4 $(RFT) $(SEEN)
rft-out/held-out:
	$(BIN)/massannot questions scenes $@ --seed 910256 --count 150 --views 4 $(RFT) $(SEEN)
rft-out/scores:
	$(BIN)/massannot rft eval $(addprefix rft-out/seed-*/,sft plain-sft $(RFT_ARMS)) \
		--data rft-out/held-out -o $@ --against "plain + SFT + T-GRPO"
rft-out/few-scores:
	$(BIN)/massannot rft eval rft-out/seed-*/few-sft --data rft-out/held-out -o $@

TINY = $(BIN)/massannot rft train tiny --data rft-out/asked -o $@ --seed $(SEED)
$(R)/sft:
	$(TINY) --method sft
$(R)/both: $(R)/sft
	$(TINY) --after $<
$(R)/tgrpo:
	$(TINY) $(FEW)
$(R)/grpo:
	$(TINY) --method grpo $(FEW)
$(R)/few-sft:
	$(TINY) --method sft $(FEW)
$(R)/plain-sft:
	$(TINY) --method sft --evidence frames
$(R)/plain: $(R)/plain-sft
	$(TINY) --evidence frames --after $<
$(R)/blind:
	$(TINY) --evidence none --warm-up-steps 100

# The ablation: frames, profile as text, all geometry tokens, selected ones, selected and profile.
GEOMETRY := frames frames+profile frames+all-geometry frames+geometry frames+geometry+profile
G := geometry-out/seed-$(SEED)
GEOMETRY_ARMS := $(addprefix $(G)/,$(GEOMETRY))
geometry: setup
	$(BIN)/massannot questions scenes geometry-out/asked --count 150 --views 8 --depth-maps \
		$(RFT) $(SEEN)
	$(BIN)/massannot questions scenes geometry-out/held-out --seed 900256 --count 50 --views 4 \
		--depth-maps $(RFT) $(SEEN)
	for part in asked held-out; do \
		$(BIN)/massannot export geometry geometry-out/$$part geometry-out/$$part-points \
			--frames 4 --grid 8 || exit 1; done
	$(MAKE) -j 2 $(GEOMETRY_ARMS)
	$(BIN)/massannot rft eval $(addprefix geometry-out/seed-*/,$(GEOMETRY)) \
		--data geometry-out/held-out --geometry geometry-out/held-out-points \
		-o geometry-out/scores --against "plain + SFT"

$(GEOMETRY_ARMS): $(G)/%:
	$(BIN)/massannot rft train tiny --data geometry-out/asked -o $@ --evidence $* \
		--geometry geometry-out/asked-points --method sft --warm-up-steps 100 --steps 240 --seed $(SEED)

.PHONY: $(addprefix rft-out/,asked held-out scores few-scores) $(GEOMETRY_ARMS)
.PHONY: $(addprefix $(R)/,sft plain-sft few-sft $(RFT_ARMS))

page: setup
	$(BIN)/massannot demo -o demo-out
	$(BIN)/python tools/demo_page.py demo-out/annotated docs/demo/index.html
	$(BIN)/massannot scenes render demo-out/seven --seed 7 --frames 48 -q
	$(BIN)/massannot annotate demo-out/seven/videos --profile none --scenes demo-out/seven -q --fps all \
		--oracle detect,masks,depth,tracks,cameras --no-films -o demo-out/exact -p "a cyan cylinder . \
		a red ball . a red cone . a white ball . a white cylinder . an orange cone ."
	$(BIN)/massannot questions ask demo-out/exact demo-out/asked --uneven
	$(BIN)/massannot questions explain demo-out/asked --all -o docs/demo/questions.html

schemas: setup
	$(BIN)/massannot schemas

# An environment of its own: the documentation needs nothing of what the annotator needs.
$(VENV)-docs/.installed: pyproject.toml constraints.txt
	test -x $(VENV)-docs/bin/python || $(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		sphinx myst-parser furo
	@touch $@

docs: $(VENV)-docs/.installed
	$(VENV)-docs/bin/python -m sphinx -b html --fail-on-warning --keep-going docs docs/_build/html

# What others read of ours, each in an environment of its own: they want other versions than ours.
PEERS := $(VENV)-peers
datasets_published := datasets==5.2.0
pycocotools_masks := pycocotools==2.0.11
rerun_recordings := rerun-sdk==0.41.0
cvat_datumaro := datumaro==1.13.12
lmms_eval_task := lmms-eval==0.7.3
axe_pages := axe-playwright-python==0.1.8
READERS := datasets_published pycocotools_masks rerun_recordings cvat_datumaro lmms_eval_task axe_pages
peers: $(addprefix peer-,$(READERS))

.PRECIOUS: $(PEERS)/%/.installed
$(PEERS)/%/.installed: Makefile
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --no-compile --quiet --disable-pip-version-check $($*)
	@touch $@

peers-out/published: $(VENV)/.installed
	rm -rf peers-out
	$(BIN)/massannot scenes render peers-out/worlds --count 6 --width 96 --height 72 --frames 36
	$(BIN)/massannot questions ask peers-out/worlds peers-out/proven --mark boxes
	$(BIN)/massannot questions publish peers-out/proven $@

OF_datasets_published := published
OF_lmms_eval_task := proven
peer-%: $(PEERS)/%/.installed peers-out/published
	$(BIN)/python -m tests.peers.$* peers-out/$(or $(OF_$*),worlds) $(PEERS)/$*/bin/python

clean:
	rm -rf $(VENV) $(PEERS) peers-out $(VENV)-docs demo-out rft-out geometry-out dist build docs/_build

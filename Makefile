# The two commands of the README are `make demo` and `make test`.
BUILD := $(CURDIR)/build
PYTHON ?= python3

.PHONY: tree test benchmark
tree:
	@$(PYTHON) tests/gates.py tree

test:
	@$(PYTHON) tests/gates.py

-include demo.mk

# The two commands of the README are `make demo` and `make test`.
BUILD := $(CURDIR)/build
PYTHON ?= python3

.PHONY: tree test benchmark
tree:
	@$(PYTHON) tests/gates.py tree

test:
	@$(PYTHON) tests/gates.py

# Such as: make benchmark HOST=root@10.0.0.1 ARGS="--dataset zroot/jails --path /jails"
benchmark: tree
	@$(PYTHON) benchmarks/run.py $(HOST) $(ARGS)

-include demo.mk

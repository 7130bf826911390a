# The two commands of the README are `make demo` and `make test`.
BUILD := $(CURDIR)/build
PYTHON ?= python3

.PHONY: tree test acceptance benchmark
tree:
	@$(PYTHON) tests/gates.py tree

test:
	@$(PYTHON) tests/gates.py

# The cases of users on a real host, such as: make acceptance HOST=root@10.0.0.1 DATASET=zroot/acceptance
acceptance:
	@CELLBLOCK_HOST="$(HOST)" CELLBLOCK_DATASET="$(DATASET)" CELLBLOCK_BESIDE="$(BESIDE)" \
		CELLBLOCK_CASES="$(CASES)" $(PYTHON) tests/gates.py acceptance

# Such as: make benchmark HOST=root@10.0.0.1 ARGS="--dataset zroot/jails --path /jails"
benchmark: tree
	@$(PYTHON) benchmarks/run.py $(HOST) $(ARGS)

-include demo.mk

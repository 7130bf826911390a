# The two commands of the README are `make demo` and `make test`; CONTRIBUTING.md tells of the others.
BUILD := $(CURDIR)/build
PYTHON ?= python3

.PHONY: tree quick units docs artifact changelog newcomer test test-all acceptance integration molecule fidelity benchmark
tree:
	@$(PYTHON) tests/gates.py tree

# Linters, types and unit tests.
quick:
	@$(PYTHON) tests/gates.py ruff mypy units

# Such as: make units CASES="-k jail_conf"
units:
	@CELLBLOCK_CASES="$(CASES)" $(PYTHON) tests/gates.py units

# The documentation of plugins and roles, the lint of what users read and run, and a site of all of it in build/docs.
docs:
	@$(PYTHON) tests/gates.py docs lint site

# The archive that is published, its CHANGELOG.rst from the fragments, and a newcomer who tries it: make newcomer CASES="-k guides"
artifact:
	@$(PYTHON) tests/gates.py artifact

changelog:
	@$(PYTHON) tests/gates.py release

newcomer:
	@CELLBLOCK_CASES="$(CASES)" $(PYTHON) tests/gates.py newcomer

test:
	@$(PYTHON) tests/gates.py

# The same, and every supported ansible-core, Python and FreeBSD that can run here; or such as: make test-all ONLY=2.19
test-all:
	@CELLBLOCK_ONLY="$(ONLY)" $(PYTHON) tests/gates.py all

# The cases of users on a real host, such as: make acceptance HOST=root@10.0.0.1 DATASET=zroot/acceptance
acceptance:
	@CELLBLOCK_HOST="$(HOST)" CELLBLOCK_DATASET="$(DATASET)" CELLBLOCK_BESIDE="$(BESIDE)" \
		CELLBLOCK_CASES="$(CASES)" $(PYTHON) tests/gates.py acceptance

# ansible-test's targets, simulated or such as: make integration HOST=root@10.0.0.1 TARGETS="jails filters"
integration:
	@CELLBLOCK_HOST="$(HOST)" CELLBLOCK_TARGETS="$(TARGETS)" CELLBLOCK_VARS='$(VARS)' $(PYTHON) tests/gates.py integration

# The scenarios of extensions/molecule on simulated hosts, or such as: make molecule SCENARIOS=freebsd
molecule:
	@CELLBLOCK_SCENARIOS="$(SCENARIOS)" $(PYTHON) tests/gates.py molecule

# Where a real host answers otherwise than the simulated one, written to docs/fidelity, a page for each release.
fidelity:
	@CELLBLOCK_HOST="$(HOST)" $(PYTHON) tests/gates.py fidelity

# What a call that changes nothing costs beside a bare ping; on a host all else too, such as:
# make benchmark HOST=root@10.0.0.1 ARGS="--dataset zroot/jails --path /jails"
benchmark:
	@$(PYTHON) tests/gates.py tree
	@$(if $(HOST),$(PYTHON) benchmarks/run.py $(HOST) $(ARGS),CELLBLOCK_ARGS="$(ARGS)" $(PYTHON) tests/gates.py benchmark)

-include demo.mk

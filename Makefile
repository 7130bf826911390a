# The two commands of the README are `make demo` and `make test`.
BUILD := $(CURDIR)/build
TREE := $(BUILD)/collections/ansible_collections/cellblock/jails

.PHONY: tree
tree:
	@mkdir -p $(TREE)
	@rsync -a --delete --exclude=/build --exclude=/.git --exclude=__pycache__ --exclude='.*_cache' --exclude=/tests/output ./ $(TREE)/

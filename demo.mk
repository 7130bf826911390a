# `make demo`: the playbook site.yml against simulated FreeBSD hosts, and a picture of them.
HOSTS ?= 1
STYLE ?= jail_conf
PYTHON ?= python3

.PHONY: demo demo-clean
demo: tree
	@$(PYTHON) demo/demo.py --hosts $(HOSTS) --style $(STYLE) -- $(ARGS)

demo-clean:
	@rm -rf $(BUILD)/demo

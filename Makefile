# Each target sets up what it needs in .venv and node_modules. Needs: Python 3.11 or newer, Node 22 or newer (20 works), make.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-long test-faults test-api test-mutation test-wheel examples test-many bench costs lint synth docs schema release-baseline lock clean

demo: .venv/installed ## run the whole flow on this machine and show it
	$(BIN)/python -m sandbox demo

test: .venv/installed ## run the tests, in some four minutes on two cores
	$(BIN)/pytest

test-long: .venv/installed ## run those that take seconds each: faults, two at once, the command line, costs, packages
	$(BIN)/pytest -m long --ignore tests/stack/test_examples.py

test-faults: .venv/installed ## the whole fault table, 500 random schedules, 200 requests sent twice: about 20 minutes
	OFFCHAIN_WHOLE_FAULT_TABLE=1 OFFCHAIN_SEED=$${OFFCHAIN_SEED:-$$(date +%s)} \
		OFFCHAIN_SCHEDULES=500 OFFCHAIN_PAIRS=200 OFFCHAIN_DEPLOYMENTS=4 $(BIN)/pytest -n 0 -m "" \
		tests/sandbox/test_fault_table.py tests/sandbox/test_concurrency.py tests/sandbox/test_schedules.py \
		tests/sandbox/test_read_flow.py tests/unit/test_adopt_method.py

test-api: .venv/installed ## 4,000 requests and more, made from the API's description and of every shape: minutes
	OFFCHAIN_API_CASES=$${OFFCHAIN_API_CASES:-160} OFFCHAIN_SEED=$${OFFCHAIN_SEED:-$$(date +%s)} \
		$(BIN)/pytest -n 0 -m "" tests/sandbox/test_openapi.py

test-many: .venv/installed ## verify-all over OFFCHAIN_DONORS donors, 2,000 by default, with its times and its memory
	OFFCHAIN_DONORS=$${OFFCHAIN_DONORS:-2000} $(BIN)/pytest -n 0 tests/sandbox/test_verify_all_command.py -k many

test-mutation: .venv/installed ## mutants of what decides a deletion or an answer, in minutes for each module; ARGS=verification
	$(BIN)/python -m tests.mutation $(ARGS)

test-wheel: .venv/installed ## install the wheel into an empty environment, bundle a foreign app there and run its functions: minutes
	OFFCHAIN_WHEEL=1 $(BIN)/pytest -n 0 -m "" tests/stack/test_wheel.py

examples: .venv/installed ## every example as it was reviewed, and without a finding of cdk-nag or cfn-lint
	OFFCHAIN_ALL_EXAMPLES=1 $(BIN)/pytest -n 0 -m "" tests/stack/test_examples.py

bench: .venv/installed ## measure the ledger client on the Fabric network that OFFCHAIN_FABRIC_PROFILE and _MSP name; ARGS=--help
	$(BIN)/python -m bench $(ARGS)

costs: .venv/installed ## compute what the stack costs, and write it into the README
	$(BIN)/python -m costs --write

lint: .venv/installed ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

synth: .venv/installed node_modules/.package-lock.json ## synthesize the stack for review, with Lambda assets
	PATH="$(CURDIR)/$(BIN):$$PATH" npx aws-cdk synth --quiet

docs: synth ## describe the synthesized stack in docs/ and in the README's pictures
	$(BIN)/python -m offchain_stack describe cdk.out --out docs --pictures-in README.md

schema: .venv/installed ## write the JSON schema of the settings again after a change of their model
	$(BIN)/python -m offchain_stack settings-schema > schema.json && mv schema.json offchain_stack/settings.schema.json

release-baseline: .venv/installed ## record what this version makes, which later ones must not replace
	PYTHONPATH=. CDK_VALIDATION=false $(BIN)/python tests/stack/releases.py

reference: .venv/installed ## build the constructs' reference from the docstrings, in reference/
	PDOC_ALLOW_EXEC=1 $(BIN)/pdoc --docformat markdown --no-show-source --output-directory reference offchain_stack

lock: .venv/installed ## resolve the locks again after a change in pyproject.toml or a requirements.in
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group functions --group sandbox --group test --group deploy -o requirements.txt
	for function in lambda_src/*/requirements.in; do \
		$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.13 --python-platform x86_64-manylinux_2_28 \
			--no-header $$function -o $${function%.in}.txt; done

clean: ## remove what the other targets made
	rm -rf .venv node_modules cdk.out reference .sandbox bench/results bench/fabric-network/node_modules

# hfc's own requirements are dead (see pyproject.toml), so the lock is complete and nothing else is resolved: --no-deps.
.venv/installed: requirements.txt
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "Node 22 or newer is needed (20 works): https://nodejs.org"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.13 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps -r requirements.txt
	touch $@

node_modules/.package-lock.json: package-lock.json
	npm ci --silent --no-audit --no-fund

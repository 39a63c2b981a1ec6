# The few verbs of this repository; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The version comes from git by itself, also where Go would refuse to ask git
# (a clone that belongs to another user).
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export GOFLAGS ?= -buildvcs=false
LDFLAGS := -X main.version=$(VERSION)

# Tools of fixed versions, built once and kept outside the repository.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdline/tools
GOLANGCI_VERSION := v2.15.0
STATICCHECK_VERSION := v0.8.2
REDOCLY_VERSION := 2.77.0
NODE_VERSION := 22
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
STATICCHECK := $(TOOLS)/staticcheck-$(STATICCHECK_VERSION)
# Redocly needs a newer Node.js than some systems have; npm brings that too.
REDOCLY := REDOCLY_SUPPRESS_UPDATE_NOTICE=true REDOCLY_TELEMETRY=off npx --yes \
	--package=node@$(NODE_VERSION) --package=@redocly/cli@$(REDOCLY_VERSION) -- redocly

# The race detector needs a C compiler; without one the tests still run.
# It watches all but the inside of SQLite, which is translated from C, and of
# argon2: they share nothing with other code, and took most of the tests' time.
# (internal/harness builds servers in the same way.)
RACE := $(if $(shell command -v $(or $(CC),cc) || command -v gcc),-race \
	$(patsubst %,-gcflags=%=-race=false,modernc.org/sqlite/lib golang.org/x/crypto/argon2 golang.org/x/crypto/blake2b))

# Arguments for the program: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# Which packages to test: make test PKG=./store/...
PKG ?= ./...
# Packages whose tests take longest are begun with: most of them wait, and what
# is left for the end would wait alone.
LONGEST := ./api ./internal/torture ./sdk/typescript ./store/postgres ./store/sqlite ./internal/fire ./internal/bench
# How long each fuzz target runs.
FUZZTIME ?= 30s

.PHONY: run
run: build ## Build, and serve at http://127.0.0.1:8080 on the file holdline.db
	@exec bin/holdline serve $(ARGS)

.PHONY: build
build: ## Build bin/holdline
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/holdline ./cmd/holdline

.PHONY: test
test: ## Run all tests with the race detector, on SQLite and on a real PostgreSQL that is started for them
	@.ci/install || echo 'Going on without: tests that need these fail and say so.'
	@echo 'Building$(if $(RACE), for the race detector; the first time this takes some minutes) …'
	@go build -o bin/testdb ./internal/testdb/cmd
	@go build ./... && go build $(RACE) ./...
	@bin/testdb go test $(RACE) -p 4 -timeout 15m $(if $(filter ./...,$(PKG)),$(LONGEST)) $(PKG)
	@# Long logs, and ten thousand conversations, without the race detector: with it they take many minutes.
	@$(if $(filter ./... ./store/...,$(PKG)),bin/testdb go test -timeout 15m -run '^(TestLongLog|TestManyConversations.*)$$' ./store/sqlite ./store/postgres ./api)

.PHONY: lint
lint: lint-go lint-generated lint-openapi ## Run every static check

.PHONY: lint-go
lint-go: $(GOLANGCI) $(STATICCHECK)
	go vet ./...
	$(STATICCHECK) ./...
	$(GOLANGCI) run --allow-serial-runners ./...
	go test ./internal/arrows

# Whatever is in the tree must be what the generators make of it.
.PHONY: lint-generated
lint-generated:
	@sums() { find . \( -name node_modules -prune \) -o \( -name '*.gen.go' -o -name '*.gen.ts' \) -exec sha256sum {} +; }; \
	before=$$(sums); $(MAKE) --no-print-directory generate; after=$$(sums); \
	if [[ $$before != "$$after" ]]; then \
		echo 'Generated code was out of date. It is up to date now: look at it and commit it.'; exit 1; \
	fi; echo 'Generated code is up to date.'

.PHONY: lint-openapi
lint-openapi:
	$(REDOCLY) lint openapi.yaml

.PHONY: generate
generate: ## Make the generated code anew from openapi.yaml
	go generate ./...

# How long each torture run lasts.
TORTURE ?= 60s

.PHONY: torture
torture: build ## Hold the promises under faults for TORTURE (60s) each: on SQLite, on PostgreSQL, and with two servers on one
	@.ci/install || echo 'Going on without: what needs these fails and says so.'
	bin/holdline torture --duration $(TORTURE)
	bin/holdline torture --duration $(TORTURE) --database postgres
	bin/holdline torture --duration $(TORTURE) --database postgres --nodes 2

.PHONY: model
model: ## Check the formal models of docs/model with spin (a minute)
	@docs/model/check

.PHONY: bench
bench: build ## Measure this machine (make bench ARGS="--help" tells what)
	@exec bin/holdline bench $(ARGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin

.PHONY: help
help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# go install names the file after the package; it is moved into place only when whole.
define install-tool
	@mkdir -p $(TOOLS)
	@echo 'Building $(notdir $@); this happens once …'
	@dir=$$(mktemp -d $(TOOLS)/build-XXXXXX); trap "rm -rf $$dir" EXIT; \
	GOBIN=$$dir GOFLAGS= go install $(1) && mv $$dir/* $@
endef

$(GOLANGCI):
	$(call install-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION))

$(STATICCHECK):
	$(call install-tool,honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION))

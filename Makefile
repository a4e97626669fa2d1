# svcauth. `make` alone lists the targets. Go and make are all that `run` and `build` need; `test` installs the rest (see deps).

GO      ?= go
BIN     ?= bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# No path, time or checkout state goes into a binary: two builds of one commit with one Go release are equal byte for byte.
BUILDFLAGS = -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)'
SOURCES    = cmd config deploy internal pkg

# Where goroutines meet: these are tested under the race detector, which needs cgo and takes too long for all of them.
RACE = $(wildcard internal/app internal/cache internal/changelog internal/clientauth internal/feed internal/keyring internal/token internal/telemetry internal/verify pkg/resourceserver pkg/tokensource)

empty =
space = $(empty) $(empty)

# Tools, pinned. They are fetched through the Go module proxy and kept in Go's cache; none is a dependency of the product.
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK  = golang.org/x/vuln/cmd/govulncheck@v1.9.0
export HELM  = helm.sh/helm/v3/cmd/helm@v3.22.0
export SBOM  = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

.DEFAULT_GOAL := help
.PHONY: help run build test vet deps lint bench drill release reproducible clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

DEMO_PORT     ?= 8080
DEMO_API_PORT ?= 8081

run: ## build and start svcauth and the example API beside it; other ports: DEMO_PORT=, DEMO_API_PORT=
	@echo 'Building svcauth and an example API. The first time, this downloads modules and takes a few minutes.'
	@CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o $(BIN)/ ./cmd/svcauth ./cmd/example-api
	@exec $(BIN)/svcauth demo --port $(DEMO_PORT) --api-port $(DEMO_API_PORT)

build: ## the programs, static and reproducible, into bin/
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o $(BIN)/ ./cmd/...

test: deps vet ## everything, with a real PostgreSQL, Redis and browser; nothing is skipped
	SVCAUTH_TEST_SERVICES=1 $(GO) test -timeout 14m $$($(GO) list ./... | grep -vE '/($(subst $(space),|,$(strip $(RACE))))(/|$$)')
	SVCAUTH_TEST_SERVICES=1 CGO_ENABLED=1 $(GO) test -race -timeout 14m $(addprefix ./,$(addsuffix /...,$(RACE)))

vet:
	@unformatted=$$(gofmt -l $(wildcard $(SOURCES))); if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...

deps: ## what the tests need, by the system's package manager where it is missing
	@GO='$(GO)' .ci/deps

lint: vet ## vet, staticcheck, the licences of all dependencies, known vulnerabilities
	$(GO) run $(STATICCHECK) ./...
	@GO='$(GO)' .ci/licenses
	@GO='$(GO)' .ci/vulnerabilities $(GOVULNCHECK)

bench: deps ## what it costs, against a bare handler that signs: ratios of processes
	SVCAUTH_TEST_SERVICES=1 $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./internal/bench/

drill: deps ## break nodes, Redis, PostgreSQL, network, disks and clocks under load; a table of what held (some 20 minutes; as root: disks too)
	SVCAUTH_DRILL=1 SVCAUTH_TEST_SERVICES=1 $(GO) test -count=1 -v -timeout 60m ./internal/drill/
	SVCAUTH_TEST_LONG=1 SVCAUTH_TEST_SERVICES=1 $(GO) test -count=1 -v -timeout 60m -run TestAnApplyOutlivesItsTokens ./internal/provider/

# Programs for each platform, packed, with checksums, the bill of materials and the texts of the licences.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
DIST      ?= $(BIN)/release

release: ## static programs for all platforms, checksums, bill of materials, licences: into bin/release/
	@rm -rf $(DIST) && mkdir -p $(DIST)
	@set -e; for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/} name=svcauth_$(VERSION)_$${platform%/*}_$${platform#*/}; \
		echo $$name; mkdir -p $(DIST)/$$name; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILDFLAGS) -o $(DIST)/$$name/ ./cmd/svcauth ./cmd/terraform-provider-svcauth; \
		tar -C $(DIST) --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - $$name | gzip -n > $(DIST)/$$name.tar.gz; rm -rf $(DIST)/$$name; \
	done
	@FULL=1 GO='$(GO)' .ci/licenses > $(DIST)/LICENSES.txt
	$(GO) run $(SBOM) mod -json -licenses -output $(DIST)/svcauth_$(VERSION).cdx.json
	@cd $(DIST) && sha256sum * > SHA256SUMS && cat SHA256SUMS

# Twice, from two directories and with empty caches: what differs is named, and nothing may.
reproducible: ## build twice and compare: equal byte for byte (some minutes)
	@set -e; at=$$(mktemp -d); trap 'chmod -R u+w $$at; rm -rf $$at' EXIT; \
	for copy in one another/place; do \
		mkdir -p $$at/$$copy; tar --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./data -cf - . | tar -C $$at/$$copy -xf -; \
		GOCACHE=$$at/cache-$${copy%/*} $(MAKE) -C $$at/$$copy build VERSION=$(VERSION) BIN=bin; \
	done; \
	diff -rs $$at/one/bin $$at/another/place/bin

clean: ## remove what was built
	rm -rf $(BIN)

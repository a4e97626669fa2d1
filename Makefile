# svcauth. `make` alone lists the targets. Go and make are all that `run` and `build` need; `test`
# installs the rest (see deps).

GO      ?= go
BIN     ?= bin
# The tag v1.2.3 is the release 1.2.3; between two of them it is 1.2.3-4-gCOMMIT.
VERSION ?= $(patsubst v%,%,$(shell git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null || echo dev))

# The same for those who take nothing else than a semantic version: Helm and Terraform.
SEMANTIC ?= $(if $(findstring .,$(VERSION)),$(VERSION),0.0.0-g$(VERSION))

# No path, time or checkout state goes into a binary: two builds of one commit with one Go release
# are equal byte for byte.
BUILDFLAGS = -trimpath -tags=nomsgpack -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)'
SOURCES    = cmd config deploy internal pkg

# nomsgpack: without a codec that gin brings and nothing here speaks, a tenth of the program.
# With the flags that decide what is compiled in every command of go, each package is compiled once:
# for vet, tests, the programs that tests build, `make build`, and for another checkout, too.
export GOFLAGS := $(strip $(GOFLAGS) $(filter -trimpath -tags=%,$(BUILDFLAGS)))

# Where goroutines meet: these are tested under the race detector, which needs cgo and takes too
# long for all of them. Those of their tests that are not under it are in files that say so
# (//go:build !race) and why, and are tested without it.
RACE    = $(wildcard internal/cache internal/app internal/token internal/changelog internal/clientauth internal/feed internal/keyring internal/telemetry internal/verify pkg/resourceserver pkg/tokensource)
UNRACED = $(shell grep -rl '^//go:build .*!race' --include='*_test.go' $(RACE))

, = ,
empty =
space = $(empty) $(empty)

# Tools, pinned. They are fetched through the Go module proxy and kept in Go's cache; none is a
# dependency of the product.
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK  = golang.org/x/vuln/cmd/govulncheck@v1.9.0
ACTIONLINT   = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
export HELM  = helm.sh/helm/v3/cmd/helm@v3.22.0
export TIME_PROVIDER = github.com/hashicorp/terraform-provider-time@v0.14.2
export SBOM  = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

.DEFAULT_GOAL := help
.PHONY: help run build test vet deps lint bench drill upgrade versions release provider-archives image publish-chart reproducible clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

DEMO_PORT     ?= 8080
DEMO_API_PORT ?= 8081

run: ## build and start svcauth and the example API beside it; other ports: DEMO_PORT=, DEMO_API_PORT=
	@echo 'Building svcauth and an example API. The first time, this downloads modules and takes a few minutes.'
	@CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o $(BIN)/ ./cmd/svcauth ./cmd/example-api
	@exec $(BIN)/svcauth demo --port $(DEMO_PORT) --api-port $(DEMO_API_PORT)

PROGRAMS ?= ./cmd/...

build: ## the programs, static and reproducible, into bin/
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o $(BIN)/ $(PROGRAMS)

# The packages that take longest, which start first, so that none of them is alone in the end.
LONGEST = ./internal/drill/ ./internal/console/ ./internal/provider/ ./internal/server/ ./internal/store/

# How many packages are tested at once. Many of their tests wait, for a disk, a timeout or a
# browser: one more than two processors fills them.
AT_ONCE ?= 3

GO_TEST = SVCAUTH_TEST_SERVICES=1 $(GO) test -p $(AT_ONCE) -vet=off -timeout 14m

# Without cgo, as the programs are built: those that tests build are then compiled already.
test: deps vet ## everything, with a real PostgreSQL, Redis and browser; nothing is skipped
	CGO_ENABLED=0 $(GO_TEST) $(LONGEST) $$($(GO) list ./... | grep -vE '/($(subst $(space),|,$(strip $(RACE))))(/|$$)')
	CGO_ENABLED=0 $(GO_TEST) -p 1 -run "^($$(sed -nE 's/^func ((Test|Fuzz|Example)[A-Za-z0-9_]*).*/\1/p' $(UNRACED) | paste -sd '|' -))$$" $(addprefix ./,$(sort $(dir $(UNRACED)))) & \
	CGO_ENABLED=1 $(GO_TEST) -race $(addprefix ./,$(addsuffix /...,$(RACE))); raced=$$?; wait $$! && exit $$raced

vet:
	@unformatted=$$(gofmt -l $(wildcard $(SOURCES))); if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	CGO_ENABLED=0 $(GO) vet ./...

deps: ## what the tests need, by the system's package manager where it is missing
	@GO='$(GO)' .ci/deps

lint: vet ## vet, staticcheck, the workflows, the licences of all dependencies, known vulnerabilities
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ACTIONLINT)
	@GO='$(GO)' .ci/licenses
	@GO='$(GO)' .ci/vulnerabilities $(GOVULNCHECK)

bench: deps ## what it costs, against a bare handler that signs: ratios of processes
	SVCAUTH_TEST_SERVICES=1 $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./internal/bench/
	$(GO) test -run '^$$' -bench Bound -benchtime 200x ./pkg/resourceserver/

drill: deps ## break nodes, Redis, PostgreSQL, network, disks and clocks under load; a table of what held (as root: disks too). DRILL= says which
	@GO='$(GO)' DRILL='$(DRILL)' .ci/drill

upgrade: deps ## the release before (the newest tag, or SVCAUTH_RELEASE_BEFORE=) and this one, beside each other under load (some 3 minutes)
	SVCAUTH_UPGRADE=1 SVCAUTH_TEST_SERVICES=1 $(GO) test -count=1 -v -timeout 30m -run TestTheReleaseBefore ./internal/drill/

versions: deps ## the versions of PostgreSQL, Redis, Terraform and Go that deploy/docs/versions.md names (some 20 minutes)
	@GO='$(GO)' .ci/versions

PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
DIST      ?= $(BIN)/release

# The Terraform provider as a registry and a filesystem_mirror want it: one archive a platform, a
# manifest and checksums.
provider-archives:
	@mkdir -p $(DIST) && rm -rf $(DIST)/provider && mkdir $(DIST)/provider
	@set -e; for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; name=terraform-provider-svcauth_v$(SEMANTIC); \
		[ $$os != windows ] || name=$$name.exe; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILDFLAGS) -o $(DIST)/provider/$$name ./cmd/terraform-provider-svcauth; \
		TZ=UTC touch -t 198001010000 $(DIST)/provider/$$name; \
		(cd $(DIST)/provider && TZ=UTC zip -q -X ../terraform-provider-svcauth_$(SEMANTIC)_$${os}_$$arch.zip $$name && rm $$name); \
	done; rmdir $(DIST)/provider
	@cp deploy/terraform/terraform-registry-manifest.json $(DIST)/terraform-provider-svcauth_$(SEMANTIC)_manifest.json
	@cd $(DIST) && sha256sum terraform-provider-svcauth_$(SEMANTIC)_* > SHA256SUMS.new && mv SHA256SUMS.new terraform-provider-svcauth_$(SEMANTIC)_SHA256SUMS

release: ## archives for all platforms, provider, chart, checksums, bills of materials, licences: into bin/release/
	@GO='$(GO)' VERSION='$(VERSION)' SEMANTIC='$(SEMANTIC)' PLATFORMS='$(PLATFORMS)' DIST='$(DIST)' .ci/release

IMAGE  ?= svcauth
CHARTS ?= oci://ghcr.io/svcauth/charts

image: ## the container image, with docker: deploy/Dockerfile. PUSH=1 publishes it, for amd64 and arm64
	docker buildx build -f deploy/Dockerfile --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) \
		$(if $(PUSH),--platform linux/amd64$(,)linux/arm64 --provenance=true --sbom=true --push,--load) .

publish-chart: ## the chart that make release has packed, to the registry CHARTS
	$(GO) run $(HELM) push $(DIST)/svcauth-$(SEMANTIC).tgz $(CHARTS)

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

# lvsnat. `make help` lists the targets.

export CGO_ENABLED = 0
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Programs that the scenarios in test/ run against the director.
PACKAGES = curl dnsmasq-base dnsutils ethtool groff-base iperf3 iproute2 iputils-ping ldirectord libcap2-bin nginx-light socat traceroute
# The real IPVS, in a kernel that is a process.
ORACLE_PACKAGES = iproute2 ipvsadm kmod user-mode-linux
TRANSCRIPTS = cmd/director/internal/ipvsadm/testdata/oracle
TRAFFIC = cmd/director/internal/daemon/testdata/oracle
# Peers and load generators of the benchmarks, and the peers of bench only.
BENCH_PACKAGES = haproxy iperf3 nftables nginx-light wrk
PEER_PACKAGES = dpdk-dev libnginx-mod-stream

# A number of runs, not a time: go test sometimes calls the end of a time a failure.
FUZZ_TIME ?= 5000x

.PHONY: help build man demo test tools check unit scenarios oracle oracle-fresh fuzz bench-once bench bench-quick bench-flood bench-tools profile clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the binaries into bin/
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/...

man: build ## write the man pages into bin/man (their date: SOURCE_DATE_EPOCH)
	rm -rf bin/man
	bin/director man bin/man
	sh packaging/manpage director.yaml 5 'configuration of the director, with every key and its default' < packaging/director.yaml > bin/man/director.yaml.5
	bin/testlvs -h 2>&1 | sh packaging/manpage testlvs 1 'flood a virtual service from many sources' > bin/man/testlvs.1

demo: build ## see one director, realservers and a client at work (SCHEDULER=, REALSERVERS=, DURATION=)
	bin/director demo

test: tools check unit scenarios oracle-fresh fuzz bench-once ## everything CI runs; needs root

tools: ## install the Debian packages that the tests need
	@sh test/install $(PACKAGES) $(BENCH_PACKAGES)

check: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'run gofmt -w on the files above' >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# The race detector needs cgo and a C compiler; the program does not.
unit: ## the tests of all packages but the scenarios, with the race detector
	CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./... | grep -v '^lvsnat/test$$')

scenarios: ## the director in the lab: namespaces, real clients and servers
	$(GO) test -timeout 15m -count=1 ./test

oracle: ## record anew what the real IPVS in user-mode-linux does and says; many minutes, needs root
	@sh test/install $(ORACLE_PACKAGES)
	$(GO) run ./test/oracle $(TRANSCRIPTS)/*.txt
	$(GO) run ./test/oracle traffic $(TRAFFIC)/*.txt
	$(GO) test ./cmd/director/internal/ipvsadm ./cmd/director/internal/daemon

# The recordings in the tree must not go stale unnoticed.
oracle-fresh: ## let the real IPVS do something new, and hold it against the director (SEED=); a minute, needs root
	@sh test/install $(ORACLE_PACKAGES)
	@sh test/oracle-fresh $(or $(SEED),$(shell date +%s))

profile: ## record anew the packet path's profile that the compiler goes by, about a minute
	$(GO) test -run '^$$' -bench '^BenchmarkPipeline$$/established/1000$$' -benchtime 10s -cpuprofile bin/pipeline.prof -o bin/dataplane.test ./dataplane
	$(GO) test -run '^$$' -bench '^BenchmarkPipeline$$/every' -benchtime 5s -cpuprofile bin/flood.prof -o bin/dataplane.test ./dataplane
	$(GO) test -run '^$$' -bench 'Forward' -benchtime 5s -cpuprofile bin/rings.prof -o bin/afpacket.test ./dataplane/afpacket
	$(GO) tool pprof -proto bin/pipeline.prof bin/flood.prof bin/rings.prof > cmd/director/default.pgo

fuzz: ## each fuzz target for FUZZ_TIME (5000x, 30s)
	@sh test/fuzz $(FUZZ_TIME)

bench-once: ## run each benchmark once, so that none rots
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...

bench: bench-tools build ## director and all peers, all workloads, tables and plots, about fifteen minutes; needs root
	@sh test/install $(PEER_PACKAGES)
	$(GO) run ./bench full

bench-quick: bench-tools build ## director against the kernel's NAT, about three minutes; needs root
	$(GO) run ./bench quick

bench-flood: bench-tools build ## how real clients fare during a SYN flood, about two minutes; needs root
	$(GO) run ./bench flood

bench-tools:
	@sh test/install $(BENCH_PACKAGES)

clean: ## remove what make built
	rm -rf bin

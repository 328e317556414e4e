package main

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, line string) options {
	t.Helper()
	o, err := parseArgs(strings.Fields(line), &bytes.Buffer{})
	if err != nil {
		t.Fatalf("testlvs %s: %v", line, err)
	}
	return o
}

func TestDefaultsAreThoseOfTestlvs(t *testing.T) {
	want := options{
		target:  netip.MustParseAddrPort("192.168.0.1:80"),
		first:   netip.MustParseAddr("10.0.0.1"),
		sources: 254,
		ports:   portRange{5000, 5000},
		packets: 1,
		workers: 1,
		ttl:     2,
		size:    40,
	}
	if got := parse(t, "192.168.0.1:80"); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheTargetMayStandAnywhere(t *testing.T) {
	// The first is the example of the README of testlvs 0.1.
	for _, line := range []string{
		"192.168.0.1:80 -tcp -srcnum 100000 -packets 5000000",
		"-tcp 192.168.0.1:80 -srcnum 100000 -packets 5000000",
		"-tcp -srcnum 100000 -packets 5000000 192.168.0.1:80",
	} {
		o := parse(t, line)
		if o.target.String() != "192.168.0.1:80" || o.sources != 100000 || o.packets != 5000000 || o.udp {
			t.Errorf("%s: got %+v", line, o)
		}
	}
}

func TestOptionsAreUnderstood(t *testing.T) {
	for line, holds := range map[string]func(options) bool{
		"-udp 1.2.3.4:5":                              func(o options) bool { return o.udp && o.size == 1400 },
		"-udp -size 100 1.2.3.4:5":                    func(o options) bool { return o.size == 100 },
		"-size 100 1.2.3.4:5":                         func(o options) bool { return o.size == 40 },
		"-udp -tcp 1.2.3.4:5":                         func(o options) bool { return !o.udp },
		"-random 1.2.3.4:5":                           func(o options) bool { return o.random },
		"-ttl 255 1.2.3.4:5":                          func(o options) bool { return o.ttl == 255 },
		"-dump 1.2.3.4:5":                             func(o options) bool { return o.dump },
		"-srcnum 16777216 1.2.3.4:5":                  func(o options) bool { return o.sources == 1<<24 },
		"-sport 6000 1.2.3.4:5":                       func(o options) bool { return o.ports == portRange{6000, 6000} },
		"-sport 1024-65535 1.2.3.4:5":                 func(o options) bool { return o.ports == portRange{1024, 65535} },
		"-pps 1e5 -workers 2 1.2.3.4:5":               func(o options) bool { return o.pps == 100000 && o.workers == 2 },
		"-duration 5s 1.2.3.4:5":                      func(o options) bool { return o.duration == 5*time.Second && o.packets == math.MaxUint64 },
		"-duration 5s -packets 1 1.2.3.4:5":           func(o options) bool { return o.packets == 1 },
		"-duration 5s -packets 0 1.2.3.4:5":           func(o options) bool { return o.packets == math.MaxUint64 },
		"-packets 0 -dump 1.2.3.4:5":                  func(o options) bool { return o.packets == math.MaxUint64 && o.dump },
		"-packets 0 -i-own-this-network 1.2.3.4:5":    func(o options) bool { return o.packets == math.MaxUint64 && o.own },
		"-srcnet 255.255.255.0 -srcnum 256 1.2.3.4:5": func(o options) bool { return o.sources == 256 },
	} {
		if o := parse(t, line); !holds(o) {
			t.Errorf("testlvs %s: got %+v", line, o)
		}
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	for line, want := range map[string]string{
		"":                           "one target VIP:port is needed, got 0",
		"1.2.3.4:5 1.2.3.4:6":        "one target VIP:port is needed, got 2",
		"1.2.3.4":                    `target "1.2.3.4": must be VIP:port`,
		"1.2.3.4:0":                  `target "1.2.3.4:0"`,
		"[::1]:80":                   `target "[::1]:80"`,
		"-srcnet x 1.2.3.4:5":        `-srcnet "x": must be an IPv4 address`,
		"-srcnum 0 1.2.3.4:5":        "-srcnum 0: must be 1 to 16777216",
		"-srcnum 16777217 1.2.3.4:5": "-srcnum 16777217",
		"-srcnet 255.255.255.0 -srcnum 257 1.2.3.4:5": "goes past 255.255.255.255",
		"-ttl 0 1.2.3.4:5":                            "-ttl 0: must be 1 to 255",
		"-ttl 256 1.2.3.4:5":                          "-ttl 256",
		"-udp -size 27 1.2.3.4:5":                     "-size 27: must be 28 to 65535",
		"-packets -1 1.2.3.4:5":                       "-packets -1: must not be negative",
		"-packets 0 1.2.3.4:5":                        "-packets 0 never ends: add -duration",
		"-sport 0 1.2.3.4:5":                          `-sport "0": must be a port`,
		"-sport 9-8 1.2.3.4:5":                        `-sport "9-8"`,
		"-sport 1-65536 1.2.3.4:5":                    `-sport "1-65536"`,
		"-pps -1 1.2.3.4:5":                           "-pps -1: must be a rate",
		"-pps Inf 1.2.3.4:5":                          "-pps +Inf: must be a rate",
		"-workers 0 1.2.3.4:5":                        "-workers 0: must be 1 to 64",
		"-duration -1s 1.2.3.4:5":                     "-duration -1s: must not be negative",
		"-nonsense 1.2.3.4:5":                         "-nonsense",
	} {
		_, err := parseArgs(strings.Fields(line), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("testlvs %s: got error %v, want one with %q", line, err, want)
		}
	}
}

func TestHelpShowsEveryOption(t *testing.T) {
	var help bytes.Buffer
	if _, err := parseArgs([]string{"-h"}, &help); !errors.Is(err, errUsage) {
		t.Fatalf("got error %v, want errUsage", err)
	}
	for _, name := range []string{"srcnet", "srcnum", "random", "packets", "ttl", "size", "udp", "tcp", "dump",
		"duration", "pps", "sport", "workers", "i-own-this-network"} {
		if !strings.Contains(help.String(), "\n-"+name+" ") {
			t.Errorf("-%s is not in the usage text", name)
		}
	}
}

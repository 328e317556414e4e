package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// options is the command line, checked.
type options struct {
	target   netip.AddrPort
	first    netip.Addr // of the sources
	sources  int
	ports    portRange // source ports
	random   bool
	packets  uint64 // math.MaxUint64: no limit
	duration time.Duration
	pps      float64 // of all workers together; 0: as fast as it goes
	workers  int
	ttl      uint8
	udp      bool
	size     int // of the IP datagram, bytes
	dump     bool
	own      bool // -i-own-this-network
}

// A portRange is a range of ports, both ends included.
type portRange struct{ first, last uint16 }

func (r portRange) len() int { return int(r.last) - int(r.first) + 1 }

// Limits and defaults of testlvs 0.1 (its usage text), and the sizes of its
// packets. The largest source port range and worker count are this program's.
const (
	maxSources  = 1 << 24
	tcpSize     = 40 // IP and TCP header without options
	minUDPSize  = 28 // IP and UDP header
	maxSize     = 65535
	maxWorkers  = 64
	usageFormat = `
Test client for LVS, compatible with testlvs 0.1

Usage: testlvs [options] VIP:port

-srcnet A.B.C.D         First source address (10.0.0.1)
-srcnum n               Number of source addresses to use, up to 16777216 (254)
-random                 Select a random source in the range, not one after the other
-packets n              Number of packets to send, 0=no limit (1; no limit with -duration)
-ttl n                  IP TTL (2)
-size n                 UDP packet size with IP header <= MTU (1400)
-udp                    Send UDP packets
-tcp                    Send TCP SYN packets (default)
-dump                   Write the packets to stdout instead of sending them

Beyond testlvs 0.1:
-duration d             Stop after this time, for example 10s
-pps n                  Packets per second (as many as possible)
-sport n[-n]            Source port or range of them (5000)
-workers n              Threads, each with a transmit ring of its own (1)
-i-own-this-network     Send to a target that may lie outside this machine,
                        and without -packets or -duration if so told
`
)

// errUsage means that the usage text is the answer; it has been printed.
var errUsage = errors.New("usage")

// parseArgs reads the command line. Like in testlvs 0.1 the target may stand
// anywhere between the options. The usage text goes to help when it is asked
// for.
func parseArgs(args []string, help io.Writer) (options, error) {
	var raw rawOptions
	flags := raw.flagSet()
	var targets []string
	for len(args) > 0 {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, usageFormat)
			return options{}, errUsage
		} else if err != nil {
			return options{}, err
		}
		if args = flags.Args(); len(args) > 0 {
			targets = append(targets, args[0])
			args = args[1:]
		}
	}
	if len(targets) != 1 {
		return options{}, fmt.Errorf("one target VIP:port is needed, got %d; testlvs -h shows the options", len(targets))
	}
	flags.Visit(func(f *flag.Flag) { raw.packetsGiven = raw.packetsGiven || f.Name == "packets" })
	return raw.check(targets[0])
}

// rawOptions is the command line as written.
type rawOptions struct {
	srcnet       string
	srcnum       int
	packets      int64
	packetsGiven bool
	ttl          int
	size         int
	sport        string
	pps          float64
	workers      int
	o            options // what needs no check
}

func (r *rawOptions) flagSet() *flag.FlagSet {
	f := flag.NewFlagSet("testlvs", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&r.srcnet, "srcnet", "10.0.0.1", "")
	f.IntVar(&r.srcnum, "srcnum", 254, "")
	f.BoolVar(&r.o.random, "random", false, "")
	f.Int64Var(&r.packets, "packets", 1, "")
	f.IntVar(&r.ttl, "ttl", 2, "")
	f.IntVar(&r.size, "size", 1400, "")
	f.BoolFunc("udp", "", func(string) error { r.o.udp = true; return nil })
	f.BoolFunc("tcp", "", func(string) error { r.o.udp = false; return nil })
	f.BoolVar(&r.o.dump, "dump", false, "")
	f.DurationVar(&r.o.duration, "duration", 0, "")
	f.Float64Var(&r.pps, "pps", 0, "")
	f.StringVar(&r.sport, "sport", "5000", "")
	f.IntVar(&r.workers, "workers", 1, "")
	f.BoolVar(&r.o.own, "i-own-this-network", false, "")
	return f
}

func (r *rawOptions) check(target string) (options, error) {
	o := r.o
	var err error
	if o.target, err = parseTarget(target); err != nil {
		return options{}, err
	}
	if o.first, err = parseSources(r.srcnet, r.srcnum); err != nil {
		return options{}, err
	}
	if o.ports, err = parsePorts(r.sport); err != nil {
		return options{}, err
	}
	switch {
	case r.ttl < 1 || r.ttl > 255:
		return options{}, fmt.Errorf("-ttl %d: must be 1 to 255", r.ttl)
	case o.udp && (r.size < minUDPSize || r.size > maxSize):
		return options{}, fmt.Errorf("-size %d: must be %d to %d", r.size, minUDPSize, maxSize)
	case r.workers < 1 || r.workers > maxWorkers:
		return options{}, fmt.Errorf("-workers %d: must be 1 to %d", r.workers, maxWorkers)
	case r.pps < 0 || math.IsNaN(r.pps) || math.IsInf(r.pps, 0):
		return options{}, fmt.Errorf("-pps %v: must be a rate, or 0 for as fast as possible", r.pps)
	case o.duration < 0:
		return options{}, fmt.Errorf("-duration %v: must not be negative", o.duration)
	}
	o.sources, o.ttl, o.pps, o.workers = r.srcnum, uint8(r.ttl), r.pps, r.workers
	o.size = r.size
	if !o.udp {
		o.size = tcpSize
	}
	o.packets, err = r.limit()
	return o, err
}

// limit is the number of packets after which the run ends. A flood that never
// ends by itself is one that somebody forgets, so it has to be asked for twice;
// what is only written ends with its reader.
func (r *rawOptions) limit() (uint64, error) {
	switch {
	case r.packets < 0:
		return 0, fmt.Errorf("-packets %d: must not be negative", r.packets)
	case r.packets == 0 && r.o.duration == 0 && !r.o.own && !r.o.dump:
		return 0, errors.New("-packets 0 never ends: add -duration, or -i-own-this-network to let it run until it is interrupted")
	case r.packets == 0, !r.packetsGiven && r.o.duration > 0:
		return math.MaxUint64, nil
	}
	return uint64(r.packets), nil
}

func parseTarget(s string) (netip.AddrPort, error) {
	target, err := netip.ParseAddrPort(s)
	if err != nil || !target.Addr().Is4() || target.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("target %q: must be VIP:port, for example 192.168.1.110:80", s)
	}
	return target, nil
}

func parseSources(first string, number int) (netip.Addr, error) {
	addr, err := netip.ParseAddr(first)
	if err != nil || !addr.Is4() {
		return netip.Addr{}, fmt.Errorf("-srcnet %q: must be an IPv4 address", first)
	}
	if number < 1 || number > maxSources {
		return netip.Addr{}, fmt.Errorf("-srcnum %d: must be 1 to %d", number, maxSources)
	}
	if last := uint64(toUint32(addr)) + uint64(number) - 1; last > math.MaxUint32 {
		return netip.Addr{}, fmt.Errorf("-srcnet %s -srcnum %d: goes past 255.255.255.255", first, number)
	}
	return addr, nil
}

func parsePorts(s string) (portRange, error) {
	firstText, lastText, isRange := strings.Cut(s, "-")
	if !isRange {
		lastText = firstText
	}
	first, firstErr := strconv.ParseUint(firstText, 10, 16)
	last, lastErr := strconv.ParseUint(lastText, 10, 16)
	if firstErr != nil || lastErr != nil || first == 0 || last < first {
		return portRange{}, fmt.Errorf("-sport %q: must be a port or a range like 5000-5999", s)
	}
	return portRange{uint16(first), uint16(last)}, nil
}

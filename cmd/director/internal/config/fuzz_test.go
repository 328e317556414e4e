package config

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lvsnat/scheduler"
)

// FuzzParse holds that no text brings Parse down, that a refusal names places
// that exist, in order, and that what is accepted keeps the rules and can be
// written and read again.
func FuzzParse(f *testing.F) {
	packaged, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packaged)
	for _, test := range broken {
		if len(test.text) < 1000 {
			f.Add([]byte(test.text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := Parse("f", text)
		if err != nil {
			if config != nil {
				t.Fatalf("%+v comes with the error %v", config, err)
			}
			checkReport(t, err, text)
			return
		}
		checkRules(t, config)
		written := Marshal(config)
		again, err := Parse("written", written)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, written)
		}
		if !reflect.DeepEqual(again, config) {
			t.Fatalf("read again: %+v\nwritten:    %+v\n%s", again, config, written)
		}
	})
}

func checkReport(t *testing.T, err error, text []byte) {
	t.Helper()
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		t.Fatalf("%v is not a list of problems", err)
	}
	// YAML ends a line at a carriage return alone, too (YAML 1.2.2, section 5.4).
	lines, last := strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+1, 1
	for _, problem := range joined.Unwrap() {
		e, ok := problem.(*Error)
		if !ok {
			continue // the count at the end
		}
		if e.Line < last || e.Line > lines || e.Column < 1 || e.Problem == "" || e.Remedy == "" {
			t.Fatalf("%+v, after line %d of %d", e, last, lines)
		}
		last = e.Line
	}
}

// checkRules repeats the rules of the contract over the finished value.
func checkRules(t *testing.T, c *Config) {
	t.Helper()
	isVIP := func(addr netip.Addr) bool {
		return slices.ContainsFunc(c.Services, func(s scheduler.ServiceSpec) bool { return s.Address.Prefix().Contains(addr) })
	}
	seen := make(map[string]bool)
	for _, s := range c.Services {
		id := protocolName(s.Protocol) + s.Address.String()
		switch {
		case !s.Address.Addr().Is4(), s.Address.Prefix().Bits() < 20, s.Address.AllPorts() && (s.Persistence == 0 || s.OnePacket), s.Protocol != 6 && s.Protocol != 17, seen[id], !slices.Contains(scheduler.Names(), s.Scheduler),
			s.Persistence < 0, s.Persistence > maxPersistence, s.Netmask != 0 && s.Persistence == 0, s.OnePacket && s.Protocol == 6,
			(s.Flags.SHFallback || s.Flags.SHPort) && s.Scheduler != "sh", (s.Flags.MHFallback || s.Flags.MHPort) && s.Scheduler != "mh":
			t.Fatalf("service %+v", s)
		}
		seen[id] = true
		for i, r := range s.Realservers {
			same := func(o scheduler.RealserverSpec) bool { return o.Address == r.Address }
			switch {
			case !r.Address.Addr().Is4(), r.Address.Port() == 0 && !s.Address.ManyPorts(), r.Weight < 0, r.Weight > 65535, r.Lower < 0, r.Lower > r.Upper, isVIP(r.Address.Addr()), slices.ContainsFunc(s.Realservers[:i], same):
				t.Fatalf("service %v: realserver %+v", s.Address, r)
			}
		}
	}
	if c.VIPNIC == "" || len(c.VIPNIC) > 15 || c.DIPNIC == "" || len(c.DIPNIC) > 15 || c.Workers < 0 || c.Connections < 1 || min(c.Timeouts.TCP, c.Timeouts.TCPFIN, c.Timeouts.UDP) < 1e9 {
		t.Fatalf("%+v", c)
	}
}

package traffic

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const file = `# A remark.
== 7.12 172.16.5.9
-- 0
0.012 ipvsadm -A -t 172.16.5.9:80 -s rr
0.040 tcp 10.64.5.1:1024 > 172.16.5.9:80 S = 10.1.1.2:8000
0.071 tcp 10.64.5.1:1024 < 10.1.1.2:8000 SA = 172.16.5.9:80
0.071 udp 10.64.5.1:1025 > 172.16.5.9:53 - = unreachable
-- 28.5
28.600 list
  TCP 172.16.5.9:80 rr = 1
  -> 10.1.1.2:8000 Masq 1 1 0 = 1
  TCP 00:59 SYN_RECV 10.64.5.1:1024 172.16.5.9:80 10.1.1.2:8000

== 7.13 172.16.6.9
-- 0
`

func TestAFileIsWrittenAsItWasRead(t *testing.T) {
	scenarios, err := Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(Format(scenarios)); got != file {
		t.Errorf("written\n%s\nread\n%s", got, file)
	}
	p := scenarios[0].Phases[0].Steps[2].Packet
	if !p.Reply || p.Flags != syn|ack || p.Source() != netip.MustParseAddrPort("10.1.1.2:8000") {
		t.Errorf("the reply was read as %+v", p)
	}
}

func TestWhatMakesNoSenseIsRefusedWithItsLine(t *testing.T) {
	const begin = "== a 172.16.0.1\n-- 0\n"
	for _, text := range []string{
		"0 list", "== a\n", "== a 172.16.0.1\n0 list", begin + "0", begin + "x list", begin + "0 dance", begin + "  row",
		begin + "0 tcp 10.64.0.1:1 > 172.16.0.1:80", begin + "0 tcp 10.64.0.1 > 172.16.0.1:80 S", begin + "0 tcp 10.64.0.1:1 > 172.16.0.1:80 X",
		begin + "0 tcp 10.64.0.1:1 > 172.16.0.1 S", "== a 172.16.0.1\n-- soon",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%q is read with the error %v", text, err)
		}
	}
}

const (
	plain = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  172.16.5.9:80 rr
  -> 10.1.1.2:8000                Masq    1      1          0         
TCP  172.16.6.9:80 rr
  -> 10.1.1.3:8000                Masq    1      1          0         
`
	stats = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  172.16.5.9:80                       1        2        0       80        0
  -> 10.1.1.2:8000                       3        2        0       80        0
TCP  172.16.6.9:80                       1        2        0       80        0
  -> 10.1.1.3:8000                       1        2        0       80        0
`
	connections = `IPVS connection entries
pro expire state       source             virtual            destination
TCP 00:59  SYN_RECV    10.64.5.2:1024     172.16.5.9:80      10.1.1.2:8000
TCP 00:59  SYN_RECV    10.64.5.1:1024     172.16.6.9:80      10.1.1.2:8000
TCP 14:59  ESTABLISHED 10.64.5.1:1024     172.16.5.9:80      10.1.1.2:8000
`
)

func TestAListingHasWhatBelongsToAVIP(t *testing.T) {
	rows, err := Listing(netip.MustParseAddr("172.16.5.9"), plain, stats, connections)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"TCP 172.16.5.9:80 rr = 1",
		"-> 10.1.1.2:8000 Masq 1 1 0 = 3",
		"TCP 14:59 ESTABLISHED 10.64.5.1:1024 172.16.5.9:80 10.1.1.2:8000",
		"TCP 00:59 SYN_RECV 10.64.5.2:1024 172.16.5.9:80 10.1.1.2:8000",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if _, err := Listing(netip.MustParseAddr("172.16.5.9"), plain, "", connections); err == nil {
		t.Error("a realserver without counters is not noticed")
	}
}

func TestListingsAreCompared(t *testing.T) {
	rows := []string{"TCP 172.16.5.9:80 rr = 1", "-> 10.1.1.2:80 Masq 1 1 0 = 1", "TCP 00:59 SYN_RECV 10.64.5.1:1 172.16.5.9:80 10.1.1.2:80"}
	tests := []struct {
		name string
		got  []string
		want int // pairs
	}{
		{"the same", rows, 0},
		{"a little later", []string{rows[0], rows[1], "TCP 00:57 SYN_RECV 10.64.5.1:1 172.16.5.9:80 10.1.1.2:80"}, 0},
		{"much later", []string{rows[0], rows[1], "TCP 00:49 SYN_RECV 10.64.5.1:1 172.16.5.9:80 10.1.1.2:80"}, 1},
		{"another state", []string{rows[0], rows[1], "TCP 00:59 CLOSE 10.64.5.1:1 172.16.5.9:80 10.1.1.2:80"}, 1},
		{"another count", []string{rows[0], "-> 10.1.1.2:80 Masq 1 1 0 = 2", rows[2]}, 1},
		{"a row less", rows[:2], 1},
		{"a row more", append(slices.Clone(rows), "TCP 00:59 SYN_RECV 10.64.5.1:2 172.16.5.9:80 10.1.1.2:80"), 1},
		{"another realserver", []string{rows[0], "-> 10.1.1.3:80 Masq 1 1 0 = 1", rows[2]}, 2},
		{"the same row twice", append(slices.Clone(rows), rows[2]), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if pairs := Compare(rows, tt.got); len(pairs) != tt.want {
				t.Errorf("they differ in %q, want %d pairs", pairs, tt.want)
			}
		})
	}
}

// A seed must be enough to repeat a sample that has failed.
func TestASeedAlwaysMakesTheSameScenario(t *testing.T) {
	invent := func() string {
		g := NewGenerator(5, 7, 3)
		s := g.Scenario()
		for n := 0; ; n++ {
			begin, ok := g.Begin(n)
			if !ok {
				break
			}
			phase := Phase{Begin: begin}
			for step, ok := g.Next(false); ok; step, ok = g.Next(false) {
				if step.Packet != nil {
					step.Outcome = "10.1.1.2:80"
				}
				g.Learn(step)
				phase.Steps = append(phase.Steps, step)
			}
			s.Phases = append(s.Phases, phase)
		}
		return string(Format([]Scenario{s}))
	}
	if a, b := invent(), invent(); a != b || strings.Count(a, "\n") < 20 {
		t.Errorf("one time\n%s\nthe other\n%s", a, b)
	}
}

package conntrack

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// newRFCTable returns a table of profile RFC that is closed with the test.
func newRFCTable(t testing.TB, capacity int) *Table {
	t.Helper()
	return newTable(t, Options{Capacity: capacity, Profile: RFC, Timeouts: RFC.Timeouts()})
}

// play shows a table the segments of a script, a line each: the direction, the
// flags' first letters, the sequence number, the length of the data, the
// acknowledgment or -, and the state that must follow. Behind it "idle" says
// that the segment must not prolong the connection's life. Every segment comes a
// second after the one before.
func play(t *testing.T, table *Table, e *Entry, now Ticks, script string) Ticks {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		now += TicksFor(time.Second)
		dir, s := parseSegment(t, fields)
		table.ObserveSegment(e, dir, s, now)
		if want := stateNamed(t, fields[5]); e.State != want {
			t.Fatalf("%s: state %v", line, e.State)
		}
		idle := len(fields) > 6 && fields[6] == "idle"
		if prolonged := e.lastSeen == now; prolonged == idle {
			t.Fatalf("%s: prolonged the connection's life: %v", line, prolonged)
		}
	}
	return now
}

func parseSegment(t *testing.T, fields []string) (dir Direction, s Segment) {
	t.Helper()
	dir = map[string]Direction{"request": Request, "reply": Reply}[fields[0]]
	for _, letter := range fields[1] {
		s.Flags |= map[rune]uint8{'S': flagSYN, 'A': flagACK, 'F': flagFIN, 'R': flagRST, 'P': flagPSH, '.': 0}[letter]
	}
	for i, number := range map[int]*uint32{2: &s.Sequence, 3: &s.Length, 4: &s.Acknowledgment} {
		if fields[i] == "-" {
			continue
		}
		if _, err := fmt.Sscan(fields[i], number); err != nil {
			t.Fatalf("%v: %v", fields, err)
		}
	}
	return dir, s
}

// The scripts' connections begin with this: the client's data begins at 101,
// the realserver's at 501.
const handshake = `
	request S   100    0  -     SYN_RECV
	reply   SA  500    0  101   SYNACK
	request A   101    0  501   ESTABLISHED`

// scripts are what the RFCs say of single connections.
var scripts = map[string]string{
	"a connection's whole life (RFC 9293 section 3.6)": handshake + `
		request PA  101   50  501   ESTABLISHED
		reply   PA  501  900  151   ESTABLISHED
		request FA  151    0 1401   CLOSE_WAIT
		reply   A  1401    0  152   CLOSE_WAIT
		reply   FA 1401    0  152   TIME_WAIT
		request A   152    0 1402   TIME_WAIT`,
	"the realserver closes first": handshake + `
		reply   FA  501    0  101   FIN_WAIT
		request A   101    0  502   FIN_WAIT
		request FA  101    0  502   TIME_WAIT
		reply   A   502    0  102   TIME_WAIT`,
	"both close at the same time (RFC 9293 section 3.6, case 3)": handshake + `
		request FA  101    0  501   CLOSE_WAIT
		reply   FA  501    0  101   TIME_WAIT
		request A   102    0  502   TIME_WAIT
		reply   A   502    0  102   TIME_WAIT`,
	"data in the segments that open and close": `
		request S   100   10  -     SYN_RECV
		reply   SA  500    0  111   SYNACK
		reply   A   501   20  111   SYNACK    // RFC 7413: before the client's ACK
		request FA  111   30  521   CLOSE_WAIT
		reply   FA  521   40  142   TIME_WAIT`,
	"lost segments are sent again": `
		request S   100    0  -     SYN_RECV
		request S   100    0  -     SYN_RECV
		reply   SA  500    0  101   SYNACK
		request S   100    0  -     SYNACK       idle
		reply   SA  500    0  101   SYNACK
		request A   101    0  501   ESTABLISHED
		reply   SA  500    0  101   ESTABLISHED  idle
		request A   101    0  501   ESTABLISHED
		request FA  101    0  501   CLOSE_WAIT
		request FA  101    0  501   CLOSE_WAIT
		reply   FA  501    0  102   TIME_WAIT
		request FA  101    0  501   TIME_WAIT
		reply   FA  501    0  102   TIME_WAIT`,
	"both open at the same time (RFC 5382 REQ-2a, RFC 9293 figure 8)": `
		request S   100    0  -     SYN_RECV
		reply   S   500    0  -     SYNACK
		request SA  100    0  501   ESTABLISHED
		reply   SA  500    0  101   ESTABLISHED  idle
		request RA  101    0  501   CLOSE`,
	"both open at the same time, the realserver's ACK comes first": `
		request S   100    0  -     SYN_RECV
		reply   S   500    0  -     SYNACK
		reply   SA  500    0  101   SYNACK
		request SA  100    0  501   ESTABLISHED`,
	"a SYN that is refused (RFC 9293 section 3.10.7.3)": `
		request S   100    0  -     SYN_RECV
		reply   RA    0    0  102   SYN_RECV     idle
		reply   R     0    0  -     SYN_RECV     idle
		reply   RA    0    0  101   CLOSE
		reply   A     0    0  101   CLOSE        idle
		request A   101    0  1     CLOSE        idle
		request S   100    0  -     SYN_RECV`,
	"a realserver that refuses what it has answered before": `
		request S   100    0  -     SYN_RECV
		reply   SA  500    0  101   SYNACK       // does not arrive
		request S   100    0  -     SYNACK       idle
		reply   RA    0    0  101   CLOSE`,
	"a client that breaks off before it is connected": `
		request S   100    0  -     SYN_RECV
		reply   SA  500    0  101   SYNACK
		request R   102    0  -     SYNACK       idle
		request R   101    0  -     CLOSE
		request A   101    0  501   CLOSE        idle`,
	"an ACK with another number connects nobody": `
		request A   101    0  501   NONE         idle
		request S   100    0  -     SYN_RECV
		request A   101    0  501   SYN_RECV     idle
		reply   SA  500    0  101   SYNACK
		request A   101    0  500   SYNACK       idle
		request A   101    0  502   SYNACK       idle
		request FA  101    0  777   SYNACK       idle
		request A   101    0  501   ESTABLISHED`,
	"a reset must have exactly the expected number (RFC 5961 section 3.2)": handshake + `
		request PA  101  500  501   ESTABLISHED
		reply   PA  501  700  601   ESTABLISHED
		request A   601    0 1201   ESTABLISHED
		request R   600    0  -     ESTABLISHED  idle
		request R   602    0  -     ESTABLISHED  idle
		request R   101    0  -     ESTABLISHED  idle
		reply   R  1200    0  -     ESTABLISHED  idle
		reply   RA 1202    0  601   ESTABLISHED  idle
		request R  2147484249 0 -   ESTABLISHED  idle
		request RA  601    0 1201   CLOSE`,
	"a reset behind data that is still on its way": handshake + `
		reply   PA  501 1000  101   ESTABLISHED
		reply   RA 1501    0  101   CLOSE`,
	"a reset that answers a segment has its acknowledgment (RFC 9293 section 3.10.7.1)": handshake + `
		request PA  101  100  501   ESTABLISHED
		reply   PA  501  900  101   ESTABLISHED
		request R   201    0  -     CLOSE
		reply   PA 1401  900  101   ESTABLISHED
		request R   101    0  -     CLOSE`,
	"a challenged reset is sent again with the right number (RFC 5961 section 3.2)": handshake + `
		request PA  101  100  501   ESTABLISHED  // lost behind the director
		request R   201    0  -     CLOSE
		reply   A   501    0  101   ESTABLISHED  // the challenge
		request R   101    0  -     CLOSE`,
	"what follows a reset that was not true keeps the connection (RFC 7857 section 2.2)": handshake + `
		request R   101    0  -     CLOSE
		request R   101    0  -     CLOSE        idle
		reply   R   501    0  -     CLOSE        idle
		reply   PA  501   10  101   ESTABLISHED
		request A   101    0  511   ESTABLISHED`,
	"a reset of a half-closed connection": handshake + `
		request FA  101    0  501   CLOSE_WAIT
		reply   A   501  100  102   CLOSE_WAIT
		reply   R   500    0  -     CLOSE_WAIT   idle
		reply   R   601    0  -     CLOSE`,
	"after both FINs only time ends it (RFC 6146 section 3.5.2.2)": handshake + `
		request FA  101    0  501   CLOSE_WAIT
		reply   FA  501    0  102   TIME_WAIT
		request R   102    0  -     TIME_WAIT    idle
		reply   R   502    0  -     TIME_WAIT    idle
		request A   102    0  502   TIME_WAIT`,
	"a half-closed connection carries data the other way": handshake + `
		request FA  101    0  501   CLOSE_WAIT
		reply   A   501 1000  102   CLOSE_WAIT
		request A   102    0 1501   CLOSE_WAIT
		reply   A  1501 1000  102   CLOSE_WAIT
		request A   102    0 2501   CLOSE_WAIT
		reply   FA 2501    0  102   TIME_WAIT`,
	"a FIN out of any window closes nothing": handshake + `
		request FA  2000000000 0 501  ESTABLISHED
		request FA  50     0  501   ESTABLISHED
		request FA  101    0  501   CLOSE_WAIT`,
	"a FIN that comes before the data that was lost": handshake + `
		request FA  201    0  501   CLOSE_WAIT
		request A   101  100  501   CLOSE_WAIT
		reply   A   501    0  202   CLOSE_WAIT
		reply   FA  501    0  202   TIME_WAIT`,
	"a reset after data that was lost before the director": handshake + `
		request A   201  100  501   ESTABLISHED
		request A   101  100  501   ESTABLISHED
		reply   A   501    0  301   ESTABLISHED
		request A   301   50  501   ESTABLISHED
		request R   351    0  -     CLOSE`,
	"a segment without ACK is nothing (RFC 9293 section 3.10.7.4)": handshake + `
		request .   101    0  -     ESTABLISHED  idle
		request P   101   10  -     ESTABLISHED  idle
		request F   101    0  -     ESTABLISHED  idle
		reply   F   501    0  -     ESTABLISHED  idle`,
	"a SYN does not disturb a live connection (RFC 5961 section 4.2)": handshake + `
		request S  7000    0  -     ESTABLISHED  idle
		reply   A   501    0  101   ESTABLISHED  // the challenge
		request PA  101   10  501   ESTABLISHED
		reply   S  9000    0  -     ESTABLISHED  idle
		reply   R   501    0  -     CLOSE`,
	"a SYN and its challenge in a half-closed connection": handshake + `
		reply   FA  501    0  101   FIN_WAIT
		request S  7000    0  -     FIN_WAIT     idle
		reply   A   502    0  101   FIN_WAIT
		request PA  101   10  502   FIN_WAIT`,
	"a realserver that has forgotten the connection opens another one": handshake + `
		request S  7000    0  -     ESTABLISHED  idle
		reply   SA 9000    0 7001   SYNACK
		request A  7001    0 9001   ESTABLISHED
		reply   R   501    0  -     ESTABLISHED  idle
		request R  7001    0  -     CLOSE`,
	"a realserver that answers a second SYN instead of the first": `
		request S   100    0  -     SYN_RECV
		reply   SA  500    0  101   SYNACK
		request S  7000    0  -     SYNACK       idle
		reply   SA 9000    0 7001   SYNACK
		request A   101    0  501   SYNACK       idle
		request A  7001    0 9001   ESTABLISHED`,
	"a copy of the realserver's SYN comes late": handshake + `
		reply   PA  501   10  101   ESTABLISHED
		request PA  101   10  511   ESTABLISHED
		reply   SA  500    0  101   ESTABLISHED  idle
		reply   A   511    0  111   ESTABLISHED
		reply   SA  500    0  101   ESTABLISHED  idle
		request R   111    0  -     CLOSE
		reply   SA  500    0  101   CLOSE        idle`,
	"a closed connection's ends open another one": handshake + `
		request FA  101    0  501   CLOSE_WAIT
		reply   FA  501    0  102   TIME_WAIT
		request S  7000    0  -     SYN_RECV
		reply   SA 9000    0 7001   SYNACK
		request A  7001    0 9001   ESTABLISHED`,
	"keep-alive probes": handshake + `
		request A   100    0  501   ESTABLISHED
		reply   A   501    0  101   ESTABLISHED
		reply   A   500    0  101   ESTABLISHED
		request A   101    0  501   ESTABLISHED`,
	"a super-packet counts with all of its segments": handshake + `
		request PA  101 65160  501  ESTABLISHED
		request R  65261   0  -     CLOSE`,
	"numbers that wrap around": `
		request S   4294967290 0   -          SYN_RECV
		reply   SA  4294967295 0   4294967291 SYNACK
		request A   4294967291 0   0          ESTABLISHED
		request PA  4294967291 100 0          ESTABLISHED
		reply   A   0          50  95         ESTABLISHED
		request A   95         0   50         ESTABLISHED
		reply   R   4294967295 0   -          ESTABLISHED  idle
		request FA  95         0   50         CLOSE_WAIT
		reply   FA  50         0   96         TIME_WAIT`,
}

func TestWhatTheRFCsSayOfAConnection(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			table := newRFCTable(t, 10)
			play(t, table, insert(table, numbered(1, protocolTCP), 0), 0, script)
		})
	}
}

// kernelScripts are the scripts of Linux's selftests for its connection
// tracking (tools/testing/selftests/net/netfilter/packetdrill), with the numbers
// they have there, relative to the client's and the realserver's first ones.
var kernelScripts = map[string]string{
	"conntrack_rst_invalid": `
		request S      0    0  -       SYN_RECV
		reply   SA     0    0  1       SYNACK
		request A      1    0  1       ESTABLISHED
		reply   A      1 1000  1       ESTABLISHED
		reply   A   1001 1000  1       ESTABLISHED
		reply   A   2001 1000  1       ESTABLISHED
		request A      1    0  1001    ESTABLISHED
		request A      1    0  2001    ESTABLISHED
		request A      1    0  3001    ESTABLISHED
		reply   R      0    0  -       ESTABLISHED  idle
		reply   R   1000000 0  -       ESTABLISHED  idle
		reply   R     42    0  -       ESTABLISHED  idle
		request PA     1 1000  3001    ESTABLISHED
		reply   A   3001    0  1001    ESTABLISHED
		reply   RA  3000    0  1001    ESTABLISHED  idle
		reply   RA  3001    0  1001    CLOSE`,
	"conntrack_syn_challenge_ack": `
		request S      0    0  -          SYN_RECV
		reply   A   145824453 0 643160523 SYN_RECV
		request R   643160523 0 -         SYN_RECV  idle
		request S      0    0  -          SYN_RECV
		reply   SA     0    0  1          SYNACK
		request A      1    0  1          ESTABLISHED`,
	"conntrack_synack_reuse": `
		request S      0    0  -       SYN_RECV
		reply   SA     0    0  1       SYNACK
		request A      1    0  1       ESTABLISHED
		request PA     1  100  1       ESTABLISHED
		reply   A      1    0  101     ESTABLISHED
		request S   2000    0  -       ESTABLISHED  idle
		reply   A      1    0  101     ESTABLISHED
		request RA   101    0  1       CLOSE
		request S   2000    0  -       SYN_RECV`,
	"conntrack_synack_old": `
		request S      0    0  -          SYN_RECV
		reply   SA  145824453 0 643160523 SYN_RECV
		request S      0    0  -          SYN_RECV
		reply   SA  145758918 0 1         SYNACK
		request PA     1    1  145758919  ESTABLISHED`,
	"conntrack_inexact_rst": `
		request S      0    0  -       SYN_RECV
		reply   SA     0    0  1       SYNACK
		request A      1    0  1       ESTABLISHED
		reply   A      1 3000  1       ESTABLISHED
		request A      1    0  3001    ESTABLISHED
		request PA     1 1000  3001    ESTABLISHED
		reply   FA  3001    0  1001    FIN_WAIT
		request A   1001    0  3002    FIN_WAIT
		request RA  1001    0  3002    CLOSE
		reply   R   2001    0  -       CLOSE        idle`,
	"conntrack_ack_loss_stall": `
		request S      0    0  -       SYN_RECV
		reply   SA     0    0  1       SYNACK
		request A      1    0  1       ESTABLISHED
		request PA     1 65700 1       ESTABLISHED
		reply   A      1    0  65701   ESTABLISHED
		request PA 65701 1460  1       ESTABLISHED
		reply   A      1    0  67161   ESTABLISHED
		request PA     1 1460  1       ESTABLISHED
		reply   A      1    0  67161   ESTABLISHED`,
}

func TestTheScriptsOfLinuxsConnectionTracking(t *testing.T) {
	for name, script := range kernelScripts {
		t.Run(name, func(t *testing.T) {
			table := newRFCTable(t, 10)
			play(t, table, insert(table, numbered(1, protocolTCP), 0), 0, script)
		})
	}
}

func TestTheIdleTimeoutsOfTheRFCs(t *testing.T) {
	const established, transitory = 2*time.Hour + 4*time.Minute, 4 * time.Minute
	for name, row := range map[string]struct {
		script string
		want   time.Duration
	}{
		"opening (RFC 7857 section 2.1)":    {`request S 100 0 - SYN_RECV`, transitory},
		"answered":                          {"request S 100 0 - SYN_RECV\nreply SA 500 0 101 SYNACK", transitory},
		"established (RFC 5382 REQ-5)":      {handshake, established},
		"closed by the client alone":        {handshake + "\nrequest FA 101 0 501 CLOSE_WAIT", established},
		"closed by the realserver alone":    {handshake + "\nreply FA 501 0 101 FIN_WAIT", established},
		"closed by both (RFC 5382 REQ-5)":   {handshake + "\nreply FA 501 0 101 FIN_WAIT\nrequest FA 101 0 502 TIME_WAIT", transitory},
		"reset (RFC 7857 section 2.2)":      {handshake + "\nreply R 501 0 - CLOSE", transitory},
		"reset, with others that count not": {handshake + "\nreply R 501 0 - CLOSE\nreply R 501 0 - CLOSE idle", transitory - time.Second},
		"alive again after a reset":         {handshake + "\nreply R 501 0 - CLOSE\nreply A 501 0 101 ESTABLISHED", established},
	} {
		t.Run(name, func(t *testing.T) {
			table := newRFCTable(t, 10)
			e := insert(table, numbered(1, protocolTCP), 0)
			now := play(t, table, e, 0, row.script)
			timeout := TicksFor(row.want)
			got := lifetime(t, table, e, now)
			if got < timeout || got > timeout+slotTicks {
				t.Errorf("lives %v, want %v", got.Duration(), row.want)
			}
		})
	}
}

func TestUDPUnderProfileRFC(t *testing.T) {
	// RFC 4787 section 4.3: REQ-5 wants two minutes at least, REQ-5c five;
	// REQ-6 wants packets of the inside to refresh, and allows it to others.
	table := newRFCTable(t, 10)
	e := insert(table, numbered(1, protocolUDP), 0)
	table.Observe(e, Request, 0, 0)
	now := Ticks(0)
	for _, dir := range []Direction{Reply, Request, Reply} {
		now += TicksFor(5 * time.Minute)
		table.Expire(now, plenty)
		if findReply(table, connectionOf(e)) != e {
			t.Fatalf("gone before its time")
		}
		table.Observe(e, dir, 0, now)
	}
	if got, want := lifetime(t, table, e, now), TicksFor(5*time.Minute); got <= want || got > want+slotTicks {
		t.Errorf("lives %v after the last packet", got.Duration())
	}
}

func TestTheTimeoutsThatCanBeSetUnderProfileRFC(t *testing.T) {
	timeouts := RFC.Timeouts()
	timeouts.Set(time.Hour, time.Minute, 3*time.Minute)
	timeouts.SetOpening(30 * time.Second)
	timeouts.Set(0, 0, 0)
	timeouts.SetOpening(0)
	for state, want := range map[State]time.Duration{
		SynRecv: 30 * time.Second, SynAck: 30 * time.Second,
		Established: time.Hour, CloseWait: time.Hour, FinWait: time.Hour,
		TimeWait: time.Minute, Close: time.Minute, UDP: 3 * time.Minute,
	} {
		if got := timeouts.Of(state); got != want {
			t.Errorf("%v: %v, want %v", state, got, want)
		}
	}
}

func TestATableRefusesTheTimeoutsOfAnotherProfile(t *testing.T) {
	if table, err := New(Options{Capacity: 1, Profile: RFC}); err == nil {
		table.Close()
		t.Error("a table of profile rfc took IPVS's timeouts")
	}
}

func TestOnlyProfileRFCPaysForSequenceNumbers(t *testing.T) {
	const capacity = 1_000_000
	ipvs, rfc := newTable(t, Options{Capacity: capacity}), newRFCTable(t, capacity)
	if ipvs.numbers != nil {
		t.Error("a table of profile ipvs has sequence numbers")
	}
	if more := rfc.Bytes() - ipvs.Bytes(); more != (capacity+1)*numbersSize {
		t.Errorf("a table of profile rfc takes %d bytes more, want %d for each connection", more, numbersSize)
	}
	if each := rfc.Bytes() / capacity; each > 96 {
		t.Errorf("a connection costs %d bytes, more than 96", each)
	}
}

func TestAFloodOfSYNsAndACKsEstablishesNothing(t *testing.T) {
	table := newRFCTable(t, 100)
	for n := range 1000 {
		e := insert(table, numbered(n, protocolTCP), 0)
		table.ObserveSegment(e, Request, Segment{Sequence: 5, Flags: flagSYN}, 0)
		table.ObserveSegment(e, Reply, Segment{Sequence: uint32(n) * 7919, Acknowledgment: 6, Flags: flagSYN | flagACK}, 0)
		table.ObserveSegment(e, Request, Segment{Sequence: 6, Acknowledgment: 6, Flags: flagACK}, 0)
		if e.State != SynAck || !e.HalfOpen() {
			t.Fatalf("state %v, half-open %v", e.State, e.HalfOpen())
		}
	}
	if table.HalfOpen() != 100 || table.Evicted() < 900 {
		t.Errorf("%d half-open, %d evicted", table.HalfOpen(), table.Evicted())
	}
}

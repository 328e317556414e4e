package conntrack

import (
	"fmt"
	"strings"
	"testing"
)

// kernelTable is the table of ip_vs_proto_tcp.c turned by a quarter: a row for
// each state, and in it where SYN, FIN, ACK and RST lead in a request, then in a
// reply; then whether IPVS counts the state as active.
const kernelTable = `
	NONE        | SYN_RECV     CLOSE       ESTABLISHED  CLOSE     | SYN_SENT     TIME_WAIT  ESTABLISHED  CLOSE     | no
	SYN_RECV    | SYN_RECV     TIME_WAIT   ESTABLISHED  SYN_RECV  | SYN_RECV     TIME_WAIT  ESTABLISHED  CLOSE     | yes
	ESTABLISHED | ESTABLISHED  CLOSE_WAIT  ESTABLISHED  CLOSE     | ESTABLISHED  FIN_WAIT   ESTABLISHED  CLOSE     | yes
	CLOSE_WAIT  | SYN_RECV     CLOSE_WAIT  CLOSE_WAIT   CLOSE     | SYN_SENT     TIME_WAIT  CLOSE_WAIT   CLOSE     | no
	FIN_WAIT    | SYN_RECV     TIME_WAIT   FIN_WAIT     CLOSE     | SYN_SENT     FIN_WAIT   FIN_WAIT     CLOSE     | no
	TIME_WAIT   | SYN_RECV     TIME_WAIT   TIME_WAIT    CLOSE     | SYN_SENT     TIME_WAIT  TIME_WAIT    TIME_WAIT | no
	CLOSE       | SYN_RECV     CLOSE       CLOSE        CLOSE     | SYN_SENT     CLOSE      CLOSE        CLOSE     | no
	LAST_ACK    | SYN_RECV     LAST_ACK    CLOSE        LAST_ACK  | SYN_SENT     LAST_ACK   LAST_ACK     CLOSE     | no
	SYN_SENT    | ESTABLISHED  SYN_SENT    SYN_SENT     CLOSE     | SYN_SENT     SYN_SENT   SYN_SENT     SYN_SENT  | yes
	LISTEN      | SYN_RECV     LISTEN      LISTEN       LISTEN    | LISTEN       LISTEN     ESTABLISHED  CLOSE     | no
	SYNACK      | SYN_RECV     TIME_WAIT   ESTABLISHED  SYN_RECV  | SYN_RECV     TIME_WAIT  ESTABLISHED  CLOSE     | yes`

func stateNamed(t *testing.T, name string) State {
	t.Helper()
	for s := range numStates {
		if s.String() == name {
			return s
		}
	}
	t.Fatalf("no state is called %q", name)
	return 0
}

func TestEveryCellOfTheTCPStateTable(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(kernelTable), "\n")
	if len(rows) != int(UDP) {
		t.Fatalf("%d rows, want one for each of %d TCP states", len(rows), UDP)
	}
	events := []uint8{flagSYN, flagFIN, flagACK, flagRST}
	for _, row := range rows {
		fields := strings.Split(row, "|")
		from := stateNamed(t, strings.TrimSpace(fields[0]))
		for dir := Request; dir <= Reply; dir++ {
			for i, to := range strings.Fields(fields[1+dir]) {
				if got, want := from.next(dir, events[i]), stateNamed(t, to); got != want {
					t.Errorf("%v, direction %d, flags %#02x: %v, want %v", from, dir, events[i], got, want)
				}
			}
			if got := from.next(dir, flagPSH); got != Close {
				t.Errorf("%v, direction %d, no known flag: %v, want CLOSE", from, dir, got)
			}
		}
		if got, want := from.Active(), strings.TrimSpace(fields[3]) == "yes"; got != want {
			t.Errorf("%v: active %v, want %v", from, got, want)
		}
	}
	if UDP.Active() {
		t.Error("UDP is active, want it always inactive")
	}
}

func TestTheFirstOfRstSynFinAckCounts(t *testing.T) {
	order := []uint8{flagRST, flagSYN, flagFIN, flagACK}
	for flags := range 256 {
		alone := uint8(0)
		for _, f := range order {
			if uint8(flags)&f != 0 {
				alone = f
				break
			}
		}
		for s := range UDP {
			for dir := Request; dir <= Reply; dir++ {
				if got, want := s.next(dir, uint8(flags)), s.next(dir, alone); got != want {
					t.Fatalf("%v with flags %#02x: %v, want %v as with %#02x alone", s, flags, got, want, alone)
				}
			}
		}
	}
}

func TestStatesBeyondTheLastAreHarmless(t *testing.T) {
	s := numStates
	if s.String() != "ERR!" || s.Active() || s.Evictable() || DefaultTimeouts().Of(s) != 0 {
		t.Errorf("state %d is taken for a real one", s)
	}
}

func TestOnlyHalfOpenAndClosingStatesMayMakeWay(t *testing.T) {
	want := map[State]bool{None: true, SynSent: true, SynRecv: true, SynAck: true, TimeWait: true, Close: true, LastAck: true}
	for s := range numStates {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			if got := s.Evictable(); got != want[s] {
				t.Errorf("evictable %v, want %v", got, want[s])
			}
			if worthOf(s, true) != states[s].worth {
				t.Errorf("an answered connection is worth something else than its state says")
			}
			if worthOf(s, false) == keep {
				t.Errorf("kept without an answer of the realserver")
			}
		})
	}
}

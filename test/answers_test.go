package test

import (
	"encoding/json"
	"testing"

	"lvsnat/test/lab/labtest"
)

// What the scenarios read of the answers that `--json` gives.
type (
	statusAnswer struct {
		Guard struct {
			Mode   string
			Active bool
			Reason string
		}
		Workers     int
		TCPProfile  string `json:"tcp_profile"`
		Connections struct {
			Current  int
			HalfOpen int `json:"half_open"`
			Limit    int
		}
		Packets map[string]uint64
		NICs    []struct {
			Name, Role, MAC string
			Up              bool
			Received, Sent  uint64
		}
		VIPs []struct {
			Address, ARP string
			Services     int
		}
		ARPConflicts []struct {
			Address, MAC, NIC string
		} `json:"arp_conflicts"`
	}
	servicesAnswer struct {
		Services []struct {
			Protocol, Address, Scheduler string
			Traffic                      trafficAnswer
			Realservers                  []struct {
				Address                  string
				Weight, Active, Inactive int
				Removed                  bool
				EffectiveWeight          float64 `json:"effective_weight"`
				HandshakeUs              int64   `json:"handshake_us"`
				Traffic                  trafficAnswer
			}
		}
	}
	trafficAnswer struct {
		Connections    uint64
		RequestPackets uint64 `json:"request_packets"`
		RequestBytes   uint64 `json:"request_bytes"`
		ReplyPackets   uint64 `json:"reply_packets"`
		ReplyBytes     uint64 `json:"reply_bytes"`
	}
	connectionsAnswer struct {
		Connections []connectionAnswer
		Complete    bool
	}
	connectionAnswer struct {
		Protocol, State, Client, Virtual, Real string
		ExpiresMs                              int64 `json:"expires_ms"`
		Worker                                 int
	}
)

// askJSON runs a subcommand of the director with --json and decodes its
// answer.
func askJSON[T any](t testing.TB, d *labtest.Director, args ...string) (answer T) {
	t.Helper()
	text := d.Ask(append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v --json: %v in %s", args, err, text)
	}
	return answer
}

func status(t testing.TB, d *labtest.Director) statusAnswer {
	t.Helper()
	return askJSON[statusAnswer](t, d, "status")
}

func connections(t testing.TB, d *labtest.Director) []connectionAnswer {
	t.Helper()
	return askJSON[connectionsAnswer](t, d, "conns").Connections
}

// connectionsByRealserver counts the entries of the connection table.
func connectionsByRealserver(t testing.TB, d *labtest.Director) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, c := range connections(t, d) {
		counts[c.Real]++
	}
	return counts
}

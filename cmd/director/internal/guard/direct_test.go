package guard

import (
	"testing"

	"github.com/google/gopacket/layers"
)

// Who talks to a realserver without the director gets its answers.
func TestDirectConversationsPass(t *testing.T) {
	for _, tt := range []struct {
		name, from string // realserver
		request    []byte
		reply      []byte
		others     [][]byte // of other conversations
		icmp       []byte   // about the request
	}{
		{
			"TCP", realserver, tcp(client, 1024, realserver, 8000), tcp(realserver, 8000, client, 1024),
			[][]byte{tcp(realserver, 8000, client, 1025), tcp(realserver, 8000, "192.0.2.98", 1024)},
			icmpError(realserver, client, tcp(client, 1024, realserver, 8000)),
		},
		{
			"UDP", realserver, udp(client, 1024, realserver, 53), udp(realserver, 53, client, 1024),
			[][]byte{udp(realserver, 53, client, 1025)},
			icmpError("10.1.1.254", client, udp(client, 1024, realserver, 53)),
		},
		{
			"all ports", wholeServer, tcp(client, 1024, wholeServer, 4711), tcp(wholeServer, 4711, client, 1024),
			[][]byte{tcp(wholeServer, 4712, client, 1024)},
			icmpError(wholeServer, client, tcp(client, 1024, wholeServer, 4711)),
		},
		{
			"a range of ports", rangeServer, tcp(client, 1024, rangeServer, 5999), tcp(rangeServer, 5999, client, 1024),
			[][]byte{tcp(rangeServer, 5998, client, 1024)},
			icmpError(rangeServer, client, tcp(client, 1024, rangeServer, 5999)),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box := newBox(t)
			g := box.guard(t)
			box.set(t, g, handled)
			passes := func(what, nic string, packet []byte, want bool) {
				t.Helper()
				if got := box.passes(t, nic, ethernet(box.mac(nic), layers.EthernetTypeIPv4, packet)); got != want {
					t.Errorf("%s passes: %v, want %v", what, got, want)
				}
			}
			passes("a reply before there was a request", "eth1", tt.reply, false)
			passes("an ICMP error before there was a request", "eth1", tt.icmp, false)
			passes("a request", "eth0", tt.request, true)
			for range 2 {
				passes("a reply", "eth1", tt.reply, true)
				passes("an ICMP error", "eth1", tt.icmp, true)
			}
			for _, other := range tt.others {
				passes("a reply of another conversation", "eth1", other, false)
			}
			// A change of services leaves it alone.
			more := handled
			more.Services = more.Services[:1]
			box.set(t, g, more)
			passes("a reply after a change", "eth1", tt.reply, true)
			// A guard that is built anew learns it with the next packet.
			next := box.guard(t)
			box.set(t, next, handled)
			passes("a reply after the guard was built anew", "eth1", tt.reply, false)
			passes("the next request", "eth0", tt.request, true)
			passes("the next reply", "eth1", tt.reply, true)
		})
	}
}

package peer

import (
	"context"

	"lvsnat/bench/testbed"
)

var routing = Peer{
	Name:        "routing",
	Description: "no translation: the client talks to a realserver, the director's kernel forwards",
	Target:      testbed.RIPs[0],
	Start: func(_ context.Context, b *testbed.Testbed) (func(context.Context) error, error) {
		stop := func(context.Context) error { return forwarding(b, "0") }
		return stop, forwarding(b, "1")
	},
}

package peer

import (
	"context"

	"lvsnat/bench/testbed"
)

var routing = Peer{
	Name:        "routing",
	Description: "no translation: the client talks to a realserver, the director's kernel forwards",
	Can:         testbed.Streams | testbed.Datagrams | testbed.Forged,
	Start: func(_ context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
		if err := forwarding(b, "1"); err != nil {
			return nil, err
		}
		return testbed.NewCarrier(testbed.RIPs[0], func(context.Context) error { return forwarding(b, "0") }), nil
	},
}

package peer

import (
	"context"

	"lvsnat/bench/testbed"
)

var wire = Peer{
	Name:        "wire",
	Description: "nothing: a cable from the client to the realserver",
	Can:         testbed.Streams | testbed.Datagrams | testbed.Forged,
	Start: func(context.Context, *testbed.Testbed) (*testbed.Carrier, error) {
		c := testbed.NewCarrier(testbed.PastRIP, func(context.Context) error { return nil })
		c.ClientNIC, c.RealserverNIC = testbed.PastDirector, testbed.PastDirector
		return c, nil
	},
}

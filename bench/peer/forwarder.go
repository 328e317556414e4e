package peer

import (
	"context"
	"errors"
	"net/netip"
	"runtime"

	"lvsnat/bench/forwarder"
	"lvsnat/bench/testbed"
	"lvsnat/dataplane/packet"
	"lvsnat/test/lab"
)

var null = Peer{
	Name:        "forwarder",
	Description: "the director's rings without the director: each frame gets two link addresses and goes on",
	Can:         testbed.Streams | testbed.Datagrams | testbed.Forged,
	Start:       startForwarder,
}

func startForwarder(ctx context.Context, b *testbed.Testbed) (*testbed.Carrier, error) {
	// As the director's guard does, so that the kernel spends no time on it.
	open, err := testbed.Drop(ctx, b.Director, "meta protocol ip", b.VIPNIC, b.DIPNIC)
	if err != nil {
		return nil, err
	}
	workers := b.Programs.Workers
	if workers == 0 {
		workers = runtime.NumCPU()
	}
	served := []netip.Prefix{netip.PrefixFrom(testbed.RIPs[0], 32)}
	var f *forwarder.Forwarder
	err = b.Director.Do(func() (err error) {
		f, err = forwarder.Open(workers, served,
			forwarder.Side{NIC: b.VIPNIC, Source: packet.MAC(lab.MACOf(lab.DirectorIP)), Destination: packet.MAC(lab.MACOf(lab.CIP))},
			forwarder.Side{NIC: b.DIPNIC, Source: packet.MAC(lab.MACOf(lab.DIP)), Destination: packet.MAC(lab.MACOf(testbed.RIPs[0]))})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, open(ctx))
	}
	f.Start()
	return testbed.NewCarrier(testbed.RIPs[0], func(ctx context.Context) error {
		return errors.Join(f.Close(), open(ctx))
	}), nil
}

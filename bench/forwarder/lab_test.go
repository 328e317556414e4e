package forwarder

import (
	"net"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"lvsnat/dataplane/packet"
	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// A connection of programs, with super-packets and checksums left to the NICs,
// goes through in both directions.
func TestATransferGoesThrough(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := lab.New()
	labtest.Must(t, err)
	defer func() { labtest.Must(t, l.Close()) }()
	topology, err := l.Build(lab.Options{Realservers: 1})
	labtest.Must(t, err)
	labtest.Must(t, topology.Client.AddRoute(lab.Route{To: lab.Default, Via: lab.DirectorIP}))
	var f *Forwarder
	labtest.Must(t, topology.Director.Do(func() (err error) {
		f, err = Open(2, []netip.Prefix{netip.PrefixFrom(lab.RIP(0), 32)},
			Side{topology.VIPNIC, packet.MAC(lab.MACOf(lab.DirectorIP)), packet.MAC(lab.MACOf(lab.CIP))},
			Side{topology.DIPNIC, packet.MAC(lab.MACOf(lab.DIP)), packet.MAC(lab.MACOf(lab.RIP(0)))})
		return err
	}))
	defer func() { labtest.Must(t, f.Close()) }()
	f.Start()
	labtest.Must(t, topology.Realservers[0].ServeTCP(":9000", lab.ServeTransfer))
	const bytes = 4 << 20
	for name, transfer := range map[string]func(net.Conn, int64, uint64) error{"up": lab.Upload, "down": lab.Download} {
		c, err := topology.Client.DialContext(labtest.Context(t), "tcp", lab.RIP(0).String()+":9000")
		labtest.Must(t, err)
		if err := transfer(c, bytes, 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		labtest.Must(t, c.Close())
	}
}

package test

import (
	"fmt"
	"testing"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

func TestConnectionsExpireAfterTheConfiguredTime(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 1})
	labtest.Must(t, top.Realservers[0].ServeUDP(":7"))
	serveNames(t, top, ":80")
	labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
	config := top.Config(web(top, "rr"),
		lab.Service{Address: "192.168.1.110:7", Protocol: "udp", Realservers: lab.Realservers("10.1.1.2")},
		lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")})
	config.Extra = "timeouts: {tcp: 300s, tcpfin: 1s, udp: 1s}"
	d := labtest.StartDirector(t, top, labtest.Start{Config: config})
	held := talk{dial(t, top.Client, "192.168.1.110:7"), t}
	held.say("this one stays")
	c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
	labtest.Must(t, err)
	defer c.Close()
	ask(t, c, "this one goes")
	if n := len(connections(t, d)); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	labtest.Eventually(t, "the UDP connection is forgotten", func() bool {
		list := connections(t, d)
		return len(list) == 1 && list[0].Protocol == "tcp"
	})
	held.say("and is still here")
}

func TestAFloodOfSYNsLeavesEstablishedConnectionsAlone(t *testing.T) {
	const limit = 256
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 1})
			labtest.Must(t, top.Realservers[0].ServeTCP(":7", lab.Echo))
			config := top.Config(lab.Service{Address: "192.168.1.110:7", Realservers: lab.Realservers("10.1.1.2")})
			config.Workers = workers
			config.Extra = fmt.Sprintf("max_connections: %d", limit)
			d := labtest.StartDirector(t, top, labtest.Start{Config: config})
			var old []talk
			for range 20 {
				c := talk{dial(t, top.Client, "192.168.1.110:7"), t}
				c.say("before")
				old = append(old, c)
			}
			frames := make([][]byte, 10*limit)
			for i := range frames {
				// From a network that is nowhere: nobody answers the realserver.
				frames[i] = syn(t, top, fmt.Sprintf("172.16.0.1:%d", 10_000+i), "192.168.1.110:7")
			}
			sendRaw(t, top.Client, "eth0", frames...)
			labtest.Eventually(t, "the table is full of half-open connections", func() bool {
				c := status(t, d).Connections
				return c.Limit == limit && c.Current <= limit && c.HalfOpen > limit/2
			})
			for _, c := range old {
				c.say("after")
			}
			talk{dial(t, top.Client, "192.168.1.110:7"), t}.say("and a new one")
		})
	}
}

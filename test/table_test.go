package test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

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
	config.Extra = "timeouts: {tcp: 300s, tcpfin: 300s, udp: 300s}"
	d := labtest.StartDirector(t, top, labtest.Start{Config: config})
	// The server ends its half; the client keeps its own.
	half := dial(t, top.Client, "192.168.1.110:80")
	labtest.Must(t, half.SetDeadline(time.Now().Add(labtest.Limit)))
	_, err := io.WriteString(half, "GET / HTTP/1.0\r\n\r\n")
	labtest.Must(t, err)
	_, err = io.ReadAll(half)
	labtest.Must(t, err)
	c, err := top.Client.DialContext(labtest.Context(t), "udp4", "192.168.1.110:7")
	labtest.Must(t, err)
	defer c.Close()
	ask(t, c, "hello")
	held := talk{dial(t, top.Client, "192.168.1.110:7"), t}
	held.say("hello")
	all := []string{"tcp ESTABLISHED", "tcp FIN_WAIT", "udp UDP"}
	states := func() []string {
		var list []string
		for _, c := range connections(t, d) {
			list = append(list, c.Protocol+" "+c.State)
		}
		slices.Sort(list)
		return list
	}
	if got := states(); !slices.Equal(got, all) {
		t.Fatalf("connections %v, want %v", got, all)
	}
	for _, change := range []struct {
		timeouts string
		left     []string
	}{
		{"{tcp: 300s, tcpfin: 300s, udp: 1s}", all[:2]},
		{"{tcp: 300s, tcpfin: 1s, udp: 1s}", all[:1]},
		{"{tcp: 1s, tcpfin: 1s, udp: 1s}", nil},
	} {
		config.Extra = "timeouts: " + change.timeouts
		d.Apply(config)
		labtest.Eventually(t, fmt.Sprintf("with %s %v are left", change.timeouts, change.left), func() bool {
			return slices.Equal(states(), change.left)
		})
		if change.left != nil {
			held.say("still here")
		}
	}
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

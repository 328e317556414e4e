package test

import (
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

// connectionsMade counts all connections that each realserver of the first
// service ever got.
func connectionsMade(t testing.TB, d *labtest.Director) map[string]int {
	t.Helper()
	made := make(map[string]int)
	for _, rs := range askJSON[servicesAnswer](t, d, "services").Services[0].Realservers {
		made[rs.Address] = int(rs.Traffic.Connections)
	}
	return made
}

func TestP2CTurnsAwayFromASlowRealserver(t *testing.T) {
	const wait = 30 * time.Millisecond // each way
	top := labtest.Build(t, lab.Options{})
	labtest.Must(t, top.SlowDown(0, wait))
	serveNames(t, top, ":80")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(web(top, "p2c"))})
	handshake := func(rip string) time.Duration {
		for _, rs := range askJSON[servicesAnswer](t, d, "services").Services[0].Realservers {
			if rs.Address == rip+":80" {
				return time.Duration(rs.HandshakeUs) * time.Microsecond
			}
		}
		return 0
	}
	labtest.Eventually(t, "all realservers are measured", func() bool {
		getMany(t, top.Client, "192.168.1.110:80", 1)
		return handshake("10.1.1.2") != 0 && handshake("10.1.1.3") != 0 && handshake("10.1.1.4") != 0
	})
	if got := handshake("10.1.1.2"); got < 2*wait {
		t.Errorf("the handshake behind the slow cable is %v, want at least %v", got, 2*wait)
	}
	before := connectionsMade(t, d)
	getMany(t, top.Client, "192.168.1.110:80", 100)
	after := connectionsMade(t, d)
	slow, fast := after["10.1.1.2:80"]-before["10.1.1.2:80"], after["10.1.1.3:80"]-before["10.1.1.3:80"]
	if slow > 10 || fast < 20 {
		t.Errorf("of 100 connections %d went to the slow realserver and %d to one of two others", slow, fast)
	}
}

func TestRotatingTiesSpreadShortConnections(t *testing.T) {
	top := labtest.Build(t, lab.Options{})
	serveNames(t, top, ":80")
	service := web(top, "sed")
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(service)})
	// Each connection is over before the next: all realservers are idle.
	shortOnes := func() {
		for range 9 {
			getMany(t, top.Client, "192.168.1.110:80", 1)
			labtest.Eventually(t, "the connection is over", func() bool { return activeConnections(t, d) == 0 })
		}
	}
	shortOnes()
	sameCounts(t, connectionsMade(t, d), map[string]int{"10.1.1.2:80": 0, "10.1.1.3:80": 0, "10.1.1.4:80": 9})
	service.Extra = "rotate_ties: true"
	d.Apply(top.Config(service))
	shortOnes()
	sameCounts(t, connectionsMade(t, d), map[string]int{"10.1.1.2:80": 3, "10.1.1.3:80": 3, "10.1.1.4:80": 12})
}

func activeConnections(t testing.TB, d *labtest.Director) (n int) {
	t.Helper()
	for _, rs := range askJSON[servicesAnswer](t, d, "services").Services[0].Realservers {
		n += rs.Active
	}
	return n
}

// A realserver that recovers under wlc would get every connection until it has
// as many as the others; with an hour to start in, until it has a tenth of that.
func TestARealserverThatRecoversStartsSlowly(t *testing.T) {
	for _, test := range []struct {
		extra string
		want  int // of 20 connections
	}{{"", 20}, {"slow_start: 3600s", 4}} {
		t.Run("key "+test.extra, func(t *testing.T) {
			top := labtest.Build(t, lab.Options{Realservers: 2})
			for _, rs := range top.Realservers {
				labtest.Must(t, rs.ServeTCP(":7", lab.Echo))
			}
			config := func(weight int) lab.DirectorConfig {
				return top.Config(lab.Service{
					Address: "192.168.1.110:7", Scheduler: "wlc", Extra: test.extra,
					Realservers: []lab.Realserver{{Address: "10.1.1.2", Weight: 1}, {Address: "10.1.1.3", Weight: weight}},
				})
			}
			d := labtest.StartDirector(t, top, labtest.Start{Config: config(0)})
			open := func(n int) {
				for range n {
					talk{dial(t, top.Client, "192.168.1.110:7"), t}.say("hello")
				}
			}
			open(20)
			d.Apply(config(1))
			open(20)
			sameCounts(t, connectionsMade(t, d), map[string]int{"10.1.1.2:7": 40 - test.want, "10.1.1.3:7": test.want})
		})
	}
}

// And it has its whole weight when the time is over.
func TestASlowStartEnds(t *testing.T) {
	top := labtest.Build(t, lab.Options{Realservers: 2})
	serveNames(t, top, ":80")
	service := web(top, "swrr")
	service.Extra = "slow_start: 2s"
	both := service.Realservers
	service.Realservers = both[:1]
	d := labtest.StartDirector(t, top, labtest.Start{Config: top.Config(service)})
	service.Realservers = both
	d.Apply(top.Config(service))
	var weights []float64
	labtest.Eventually(t, "the realserver has its whole weight", func() bool {
		for _, rs := range askJSON[servicesAnswer](t, d, "services").Services[0].Realservers {
			if rs.Address == "10.1.1.3:80" {
				weights = append(weights, rs.EffectiveWeight)
			}
		}
		return weights[len(weights)-1] == 1
	})
	if weights[0] >= 1 || weights[0] < 0.1 {
		t.Errorf("the weight began with %v", weights[0])
	}
	before := connectionsMade(t, d)
	getMany(t, top.Client, "192.168.1.110:80", 20)
	after := connectionsMade(t, d)
	if n := after["10.1.1.3:80"] - before["10.1.1.3:80"]; n != 10 {
		t.Errorf("of 20 turns it had %d, want 10", n)
	}
}

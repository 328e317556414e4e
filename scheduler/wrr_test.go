package scheduler

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// kernelWRR is ip_vs_wrr_schedule of net/netfilter/ipvs/ip_vs_wrr.c, statement
// by statement, with the list's head as place -1.
type kernelWRR struct{ cl, cw, mw, di int }

// changed is ip_vs_wrr_dest_changed.
func (m *kernelWRR) changed(servers []*Realserver) {
	greatest := 0
	for _, rs := range servers {
		greatest = max(greatest, rs.Weight())
	}
	m.cl = -1
	m.di = max(1, divisor(servers, (*Realserver).Weight))
	m.mw = greatest - (m.di - 1)
	switch {
	case m.cw > m.mw || m.cw == 0:
		m.cw = m.mw
	case m.di > 1:
		m.cw = m.cw/m.di*m.di + 1
	}
}

func (m *kernelWRR) schedule(servers []*Realserver) *Realserver {
	if m.mw == 0 {
		return nil
	}
	at, last, stop := m.cl, m.cl, -1
	lastPass, restarted := false, false
	for {
		for at++; at < len(servers); at++ {
			if rs := servers[at]; !rs.overloaded() && rs.Weight() >= m.cw {
				m.cl = at
				return rs
			}
			if at == stop {
				m.cl = at
				return nil
			}
		}
		at = -1
		m.cw -= m.di
		if m.cw <= 0 {
			m.cw = m.mw
			if lastPass || last == -1 {
				m.cl = -1
				return nil
			}
			restarted = true
		}
		lastPass = m.cw <= m.di
		if lastPass && restarted && last != -1 {
			stop = last
		}
	}
}

// Passes without an eligible server are left out, but every choice is the
// kernel's, also behind one that found nobody.
func TestWeightedRoundRobinChoosesAsTheKernelWithServersThatFillUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := newSet()
		var reference kernelWRR
		var weights []string
		most := rapid.SampledFrom([]int{3, 20, 2000}).Draw(t, "most")
		for range rapid.IntRange(1, 5).Draw(t, "changes of weights") {
			before := weights
			weights = drawServers(t, most)
			if err := set.Apply([]ServiceSpec{spec("wrr", weights...)}); err != nil {
				t.Fatal(err)
			}
			service := set.Snapshot().Services()[0]
			servers := service.Realservers()
			if !slices.Equal(weights, before) {
				reference.changed(servers)
			}
			for i := range rapid.IntRange(0, 30).Draw(t, "connections") {
				event := rapid.IntRange(0, 6).Draw(t, "event")
				switch event {
				case 0, 1:
					rs := rapid.SampledFrom(servers).Draw(t, "server")
					rs.overload.Store(!rs.overload.Load())
				case 2, 3:
					for _, rs := range servers {
						rs.overload.Store(event == 2)
					}
				}
				if got, want := choose(service, Client{}), reference.schedule(servers); got != want {
					t.Fatalf("connection %d got %+v, want %+v", i, got, want)
				}
			}
		}
	})
}

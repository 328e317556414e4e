package scheduler

import (
	"testing"

	"pgregory.net/rapid"
)

// kernelWRR is ip_vs_wrr_schedule of net/netfilter/ipvs/ip_vs_wrr.c, statement
// by statement, with the list's head as place -1.
type kernelWRR struct{ cl, cw, mw, di int }

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
		if err := set.Apply([]ServiceSpec{spec("wrr", drawServers(t, rapid.SampledFrom([]int{3, 20, 2000}).Draw(t, "most"))...)}); err != nil {
			t.Fatal(err)
		}
		service := set.Snapshot().Services()[0]
		servers := service.Realservers()
		greatest, step := 0, divisor(servers, (*Realserver).Weight)
		for _, rs := range servers {
			greatest = max(greatest, rs.Weight())
		}
		reference := kernelWRR{cl: -1, cw: greatest - step + 1, mw: greatest - step + 1, di: step}
		for i := range rapid.IntRange(1, 60).Draw(t, "connections") {
			if rapid.IntRange(0, 2).Draw(t, "change") == 0 {
				rs := rapid.SampledFrom(servers).Draw(t, "server")
				rs.overload.Store(!rs.overload.Load())
			}
			if got, want := choose(service, Client{}), reference.schedule(servers); got != want {
				t.Fatalf("connection %d got %+v, want %+v", i, got, want)
			}
		}
	})
}

package estimator

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

var (
	web = scheduler.Key{Addr: 0xc0a8016e, Port: 80, Protocol: 6}
	dns = scheduler.Key{Addr: 0xc0a8016e, Port: 53, Protocol: 17}
)

const realserver = 0x0a010102

// reading makes counters of a service with one realserver, both with the same
// traffic.
func reading(key scheduler.Key, t dataplane.Traffic) dataplane.ServiceStats {
	return dataplane.ServiceStats{
		Key: key, Traffic: t,
		Realservers: []dataplane.RealserverStats{{Addr: realserver, Port: 8000, Traffic: t}},
	}
}

func traffic(n uint64) dataplane.Traffic {
	return dataplane.Traffic{Connections: n, RequestPkts: 2 * n, ReplyPkts: 3 * n, RequestBytes: 40 * n, ReplyBytes: 1500 * n}
}

func TestARateClosesAQuarterOfTheGapEveryTwoSeconds(t *testing.T) {
	var e Estimator
	// 400 connections in each interval are 200 a second: the kernel's formula
	// gives 50, 87.5, 115.6, ... and rounds a half down.
	want := []uint64{50, 87, 116, 137, 153}
	for i, rate := range want {
		now := []dataplane.ServiceStats{reading(web, traffic(uint64(i+1)*400))}
		e.Sample(now)
		got := e.Read(now)
		for _, name := range []Name{{Service: web}, {Service: web, Addr: realserver, Port: 8000}} {
			if got[name].Rate.Connections != rate {
				t.Errorf("after %d intervals %v has %d connections a second, want %d", i+1, name, got[name].Rate.Connections, rate)
			}
		}
	}
}

func TestAllFiveRatesSettleAtTheTruth(t *testing.T) {
	var e Estimator
	var now []dataplane.ServiceStats
	for i := range 100 {
		now = []dataplane.ServiceStats{reading(web, traffic(uint64(i+1)*400))}
		e.Sample(now)
	}
	got := e.Read(now)[Name{Service: web}].Rate
	if want := (Rate{200, 400, 600, 8000, 300000}); got != want {
		t.Errorf("the rates settle at %+v, want %+v", got, want)
	}
	for range 100 {
		e.Sample(now)
	}
	if got := e.Read(now)[Name{Service: web}].Rate; got != (Rate{}) {
		t.Errorf("without traffic the rates settle at %+v, want 0", got)
	}
}

func TestZeroingHidesWhatWasCountedBefore(t *testing.T) {
	var e Estimator
	before := []dataplane.ServiceStats{reading(web, traffic(1000)), reading(dns, traffic(1000))}
	e.Sample(before)
	e.Zero(before, web)
	after := []dataplane.ServiceStats{reading(web, traffic(1007)), reading(dns, traffic(1007))}
	got := e.Read(after)
	for name, want := range map[Name]dataplane.Traffic{
		{Service: web}: traffic(7),
		{Service: web, Addr: realserver, Port: 8000}: traffic(7),
		{Service: dns}: traffic(1007),
		{Service: dns, Addr: realserver, Port: 8000}: traffic(1007),
	} {
		if got[name].Traffic != want {
			t.Errorf("%v shows %+v, want %+v", name, got[name].Traffic, want)
		}
	}
	if got[Name{Service: web}].Rate != (Rate{}) {
		t.Errorf("a zeroed service has the rates %+v, want 0", got[Name{Service: web}].Rate)
	}
	if got[Name{Service: dns}].Rate == (Rate{}) {
		t.Error("the rates of a service that was not zeroed are gone")
	}
	e.Zero(after)
	if got := e.Read(after)[Name{Service: dns}]; got != (Counts{}) {
		t.Errorf("after all was zeroed, a service shows %+v", got)
	}
}

func TestAServiceThatComesBackBeginsAnew(t *testing.T) {
	var e Estimator
	full := []dataplane.ServiceStats{reading(web, traffic(1000))}
	e.Zero(full)
	e.Sample(nil)
	if got := e.Read(full)[Name{Service: web}].Traffic; got != traffic(1000) {
		t.Errorf("a service that was away shows %+v, want all its %+v", got, traffic(1000))
	}
}

func TestCountersThatFallAreAnotherRealservers(t *testing.T) {
	var e Estimator
	e.Zero([]dataplane.ServiceStats{reading(web, traffic(1000))})
	fresh := []dataplane.ServiceStats{reading(web, traffic(6))}
	if got := e.Read(fresh)[Name{Service: web}].Traffic; got != traffic(6) {
		t.Errorf("fallen counters show %+v, want %+v", got, traffic(6))
	}
	e.Sample(fresh)
	if got := e.Read(fresh)[Name{Service: web}].Rate.Connections; got != 1 {
		t.Errorf("6 connections in the first interval make a rate of %d, want 1 (0.75 rounded)", got)
	}
}

// The kernel's arithmetic stays close to the same average in floating point.
func TestRatesFollowAnAverageInFloatingPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Estimator
		var total uint64
		exact := 0.0
		var now []dataplane.ServiceStats
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(0, 1<<32), 1, 50).Draw(t, "connections") {
			total += n
			now = []dataplane.ServiceStats{{Key: web, Traffic: dataplane.Traffic{Connections: total}}}
			e.Sample(now)
			exact += (float64(n)/2 - exact) / 4
		}
		got := float64(e.Read(now)[Name{Service: web}].Rate.Connections)
		if math.Abs(got-exact) > 1+exact*1e-9 {
			t.Fatalf("the rate is %v, the average %v", got, exact)
		}
	})
}

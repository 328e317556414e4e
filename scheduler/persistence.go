package scheduler

import "time"

// maxTemplates is how many clients (or networks of clients) of one service are
// remembered. What comes beyond is scheduled without being remembered, so that
// forged sources cost a bounded amount of memory.
const maxTemplates = 1 << 20

// templateStep is by how much a template outlives its timeout while it has
// connections. It is the template's timeout from then on (ip_vs_conn_expire in
// ip_vs_conn.c).
const templateStep = int64(time.Minute)

// templateSlack is how much later than its template a connection may end and
// still not have outlived it: connections count time in ticks of 67 ms.
const templateSlack = int64(200 * time.Millisecond)

// templates remember which server the clients of a persistent service have. A
// template is IPVS's name for it: a connection without a client port that the
// true connections are modelled on (ip_vs_sched_persist in ip_vs_core.c).
type templates struct {
	timeout time.Duration
	netmask uint32 // clients alike under it share a server
	byNet   map[uint32]template
	perDest map[uint32]int // templates of each realserver, by ID
}

// A template has no pointer, so the garbage collector does not look at a map
// of them.
type template struct {
	dest        uint32 // realserver ID
	connections uint32 // opened by it that have not ended
	timeout     int64  // ns
	expires     int64  // ns
	assured     bool   // one of them was established
}

// live reports whether a template still binds its client.
func (t template) live(now int64) bool { return t.connections > 0 || now < t.expires }

func newTemplates(timeout time.Duration, netmask uint32) *templates {
	return &templates{timeout, netmask, make(map[uint32]template), make(map[uint32]int)}
}

// pick returns the server that a client is bound to, or binds it to the one
// that the scheduler chooses. Bound reports whether the connection belongs to a
// template, which is then to be told of its end. A bound client gets its server
// even when that has weight 0 or is over its threshold; only a removed server
// loses its clients.
func (p *templates) pick(s Scheduler, servers []*Realserver, client Client) (rs *Realserver, bound bool) {
	network := client.Addr & p.netmask
	t, known := p.byNet[network]
	if known && t.live(client.Now) {
		rs = byID(servers, t.dest)
	}
	if rs == nil {
		if rs = s.Pick(servers, client); rs == nil {
			return nil, false
		}
		if !known && len(p.byNet) >= maxTemplates {
			return rs, false
		}
		if known {
			p.forget(network, t)
		}
		t = template{dest: rs.ID, timeout: int64(p.timeout)}
		p.perDest[rs.ID]++
	} else if client.Now >= t.expires {
		t.timeout = templateStep
	}
	t.connections++
	t.expires = client.Now + t.timeout
	p.byNet[network] = t
	return rs, true
}

func byID(servers []*Realserver, id uint32) *Realserver {
	for _, rs := range servers {
		if rs.ID == id {
			return rs
		}
	}
	return nil
}

// of finds the template that a connection was opened by, unless that was made
// anew meanwhile.
func (p *templates) of(clientAddr, dest uint32) (network uint32, t template, ok bool) {
	network = clientAddr & p.netmask
	t, ok = p.byNet[network]
	return network, t, ok && t.dest == dest && t.connections > 0
}

// closed takes a connection off its client's template.
func (p *templates) closed(clientAddr, dest uint32, ended int64) {
	network, t, ok := p.of(clientAddr, dest)
	if !ok {
		return
	}
	t.connections--
	if late := ended - t.expires; t.connections == 0 && late > templateSlack {
		t.expires += (late/templateStep + 1) * templateStep
		t.timeout = templateStep
	}
	p.byNet[network] = t
}

// assure marks the template of a connection that was established.
func (p *templates) assure(clientAddr, dest uint32) {
	if network, t, ok := p.of(clientAddr, dest); ok {
		t.assured = true
		p.byNet[network] = t
	}
}

func (p *templates) forget(network uint32, t template) {
	delete(p.byNet, network)
	if p.perDest[t.dest]--; p.perDest[t.dest] == 0 {
		delete(p.perDest, t.dest)
	}
}

// sweep looks at up to n templates, in random order, and forgets those that no
// longer bind.
func (p *templates) sweep(now int64, n int) {
	for network, t := range p.byNet {
		if n--; n < 0 {
			return
		}
		if !t.live(now) {
			p.forget(network, t)
		}
	}
}

// A Template is the bond of a client, or a network of clients, to a
// realserver, as shown to an operator.
type Template struct {
	ClientAddr uint32        // host order, under the service's netmask
	Dest       uint32        // the realserver's ID
	Expires    time.Duration // until it goes if no connection comes; while it has connections, an estimate
	Assured    bool          // one of its connections was established
}

// Templates lists the service's templates, in no order. It may be called
// concurrently; opening connections waits for it.
func (s *Service) Templates(now int64) []Template {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates == nil {
		return nil
	}
	list := make([]Template, 0, len(s.templates.byNet))
	for network, t := range s.templates.byNet {
		if !t.live(now) {
			continue
		}
		left := t.expires - now
		if left < 0 {
			left = templateStep - -left%templateStep
		}
		list = append(list, Template{network, t.dest, time.Duration(left), t.assured})
	}
	return list
}

// Persistent counts the templates of a realserver of the service, by its ID. It
// may be called concurrently.
func (s *Service) Persistent(dest uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates == nil {
		return 0
	}
	return s.templates.perDest[dest]
}

// Closed tells that a connection that Pick has bound ended, in ns: at its
// deadline, not when that was noticed. It may be called concurrently.
func (s *Service) Closed(clientAddr, dest uint32, ended int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates != nil {
		s.templates.closed(clientAddr, dest, ended)
	}
}

// Assure tells that a connection that Pick has bound was established
// (ip_vs_control_assure_ct in ip_vs_conn.c). It may be called concurrently.
func (s *Service) Assure(clientAddr, dest uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates != nil {
		s.templates.assure(clientAddr, dest)
	}
}

// sweepPiece is how many templates are looked at while connections wait.
const sweepPiece = 4096

// Sweep forgets templates that have expired, some of them at a time; now is in
// ns. It may be called concurrently.
func (s *Service) Sweep(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates != nil {
		s.templates.sweep(now, sweepPiece)
	}
}

// setPersistence changes how long and how finely clients are bound. Bonds go on
// as they were made, unless that was by another netmask.
func (s *Service) setPersistence(timeout time.Duration, netmask uint32) {
	switch {
	case timeout == 0:
		s.templates = nil
	case s.templates == nil || s.templates.netmask != netmask:
		s.templates = newTemplates(timeout, netmask)
	default:
		s.templates.timeout = timeout
	}
}

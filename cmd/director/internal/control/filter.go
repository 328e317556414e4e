package control

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"lvsnat/dataplane"
	"lvsnat/scheduler"
)

// DefaultLimit is how many connections a listing has unless asked otherwise.
// A listing of a million is rarely what an operator wants on a terminal.
const DefaultLimit = 1000

// A Filter says which connections a listing has. The zero value lets all
// pass, without a limit.
type Filter struct {
	Client  Endpoint
	Virtual Endpoint
	Real    Endpoint
	State   string // IPVS's name; empty: any
	Limit   int    // 0: none
}

// An Endpoint matches one end of a connection. The zero value matches any.
type Endpoint struct {
	Prefix   netip.Prefix // invalid: any address
	Port     uint16       // 0: any port
	LastPort uint16       // of a range that begins with Port; 0: Port alone
}

// ParseEndpoint reads what an operator may write for an end: an address, a
// prefix, a port or a range of ports with a colon before it, or both, as the
// addresses of services are written.
func ParseEndpoint(text string) (Endpoint, error) {
	if text == "" {
		return Endpoint{}, nil
	}
	var e Endpoint
	host, port, hasPort := strings.Cut(text, ":")
	if hasPort {
		first, last, err := scheduler.ParsePorts(port)
		if err != nil || first == 0 || last < first {
			return Endpoint{}, fmt.Errorf("%q: %q is neither a port between 1 and 65535 nor a range of them such as 5000-5999", text, port)
		}
		e.Port = first
		if last > first {
			e.LastPort = last
		}
		if host == "" {
			return e, nil
		}
	}
	if !strings.Contains(host, "/") {
		host += "/32"
	}
	prefix, err := netip.ParsePrefix(host)
	if err != nil || !prefix.Addr().Is4() {
		return Endpoint{}, fmt.Errorf("%q is not an end of a connection: write 192.168.1.254, 192.168.1.0/24, 192.168.1.254:40000 or :80", text)
	}
	e.Prefix = prefix.Masked()
	return e, nil
}

// String writes the endpoint as ParseEndpoint reads it.
func (e Endpoint) String() string {
	text := ""
	if e.Prefix.IsValid() {
		text = e.Prefix.String()
	}
	if e.Port != 0 {
		text += ":" + strconv.Itoa(int(e.Port))
	}
	if e.LastPort != 0 {
		text += "-" + strconv.Itoa(int(e.LastPort))
	}
	return text
}

func (e Endpoint) matches(addr uint32, port uint16) bool {
	inRange := e.Port <= port && port <= max(e.Port, e.LastPort)
	return (e.Port == 0 || inRange) && (!e.Prefix.IsValid() || e.Prefix.Contains(Addr(addr)))
}

func (f Filter) matches(c dataplane.Connection) bool {
	return f.Client.matches(c.ClientAddr, c.ClientPort) &&
		f.Virtual.matches(c.VirtualAddr, c.VirtualPort) &&
		f.Real.matches(c.RealAddr, c.RealPort) &&
		(f.State == "" || strings.EqualFold(f.State, c.State))
}

// query writes the filter as the query of a request.
func (f Filter) query() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"client":  f.Client.String(),
		"virtual": f.Virtual.String(),
		"real":    f.Real.String(),
		"state":   f.State,
		"limit":   strconv.Itoa(f.Limit),
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

// parseFilter reads a request's query. An unknown key is an error: a listing
// that silently ignores a misspelt filter shows the wrong connections.
func parseFilter(values url.Values) (Filter, error) {
	f := Filter{Limit: DefaultLimit, State: values.Get("state")}
	ends := map[string]*Endpoint{"client": &f.Client, "virtual": &f.Virtual, "real": &f.Real}
	for name := range values {
		end := ends[name]
		if end == nil && name != "state" && name != "limit" {
			return Filter{}, fmt.Errorf("unknown filter %q: known are client, virtual, real, state and limit", name)
		}
		if end == nil {
			continue
		}
		var err error
		if *end, err = ParseEndpoint(values.Get(name)); err != nil {
			return Filter{}, fmt.Errorf("filter %s: %w", name, err)
		}
	}
	if text := values.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 0 {
			return Filter{}, fmt.Errorf("filter limit: %q is not a number of connections; 0 means no limit", text)
		}
		f.Limit = limit
	}
	return f, nil
}

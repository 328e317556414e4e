package control

import "time"

// Version is the version of the JSON. It is part of each path and of each
// answer.
const Version = 1

// Status says how the director is.
type Status struct {
	Version           int               `json:"version"`
	Release           string            `json:"release"`
	PID               int               `json:"pid"`
	Started           time.Time         `json:"started"`
	UptimeSeconds     float64           `json:"uptime_seconds"`
	Config            ConfigStatus      `json:"config"`
	Guard             GuardStatus       `json:"guard"`
	Workers           int               `json:"workers"`
	Threads           int               `json:"threads"`     // that carry the workers
	TCPProfile        string            `json:"tcp_profile"` // ipvs or rfc
	Connections       ConnectionsStatus `json:"connections"`
	Packets           map[string]uint64 `json:"packets"` // by verdict, all workers; zeros included
	NICs              []NIC             `json:"nics"`
	VIPs              []VIP             `json:"vips"`
	ARPConflictsTotal uint64            `json:"arp_conflicts_total"`
	ARPConflicts      []ARPConflict     `json:"arp_conflicts"` // of each VIP and foreign machine the last one
}

// ConfigStatus says which configuration is in force.
type ConfigStatus struct {
	File    string    `json:"file"`
	Loaded  time.Time `json:"loaded"`            // when what is in force was read
	Error   string    `json:"error,omitempty"`   // why the last reload changed nothing
	Restart []string  `json:"restart,omitempty"` // keys that the file has changed and only a restart applies
}

// GuardStatus says whether and why the kernel is kept from the director's
// traffic.
type GuardStatus struct {
	Mode       string           `json:"mode"` // auto, nft or none, as configured
	Active     bool             `json:"active"`
	Reason     string           `json:"reason"`
	Classifier ClassifierStatus `json:"classifier"`
}

// ClassifierStatus says whether the guard drops requests before they reach its
// nft rules, which saves time, and where or why not.
type ClassifierStatus struct {
	Active bool   `json:"active"`
	Reason string `json:"reason"` // empty without a guard
}

// ConnectionsStatus counts the connections of all workers.
type ConnectionsStatus struct {
	Current  int    `json:"current"`
	HalfOpen int    `json:"half_open"` // of the current ones, not answered or not established
	Limit    int    `json:"limit"`
	Evicted  uint64 `json:"evicted"` // half-open or closing ones that made way for new ones

	Flood    string `json:"flood"`              // the severest stage of a worker against floods: none, evicting or shedding
	Admitted int64  `json:"admitted,omitempty"` // when shedding: new connections of unknown clients a second
}

// NIC is one network interface of the director, the rings of all workers
// together.
type NIC struct {
	Name            string `json:"name"`
	Role            string `json:"role"` // vip, dip, or vip+dip
	Up              bool   `json:"up"`
	MAC             string `json:"mac"`
	MTU             int    `json:"mtu"`
	Received        uint64 `json:"received"`          // frames
	ReceiveDropped  uint64 `json:"receive_dropped"`   // the receive ring had no room
	Truncated       uint64 `json:"receive_truncated"` // larger than a ring slot and not fetched whole
	Sent            uint64 `json:"sent"`
	TransmitDropped uint64 `json:"transmit_dropped"` // the transmit ring or the NIC took no more
}

// VIP is one virtual address, or a range of them. Those addresses of a range
// that the kernel answers for are listed by themselves, too.
type VIP struct {
	Address  string `json:"address"` // an address, or a prefix for a range
	ARP      string `json:"arp"`     // who answers for the address: kernel or director
	Services int    `json:"services"`
}

// ARPConflict is another machine that says it has a VIP.
type ARPConflict struct {
	Address  string    `json:"address"`
	MAC      string    `json:"mac"`
	NIC      string    `json:"nic"`
	Count    uint64    `json:"count"` // ARP packets that said so
	LastSeen time.Time `json:"last_seen"`
}

// Services are the virtual services in force, in the order of the wanted
// state.
type Services struct {
	Version  int       `json:"version"`
	Services []Service `json:"services"`
}

// Service is one virtual service.
type Service struct {
	Protocol    string       `json:"protocol"` // tcp or udp
	Address     string       `json:"address"`  // VIP:port, or with ranges VIP/bits:first-last
	Scheduler   string       `json:"scheduler"`
	Traffic     Traffic      `json:"traffic"`    // realservers that were removed included
	SinceZero   Traffic      `json:"since_zero"` // what was counted since an operator zeroed it
	Rate        Rate         `json:"rate"`
	Realservers []Realserver `json:"realservers"`
}

// Realserver is one server of one service.
type Realserver struct {
	Address  string  `json:"address"` // RIP:port; port 0 for the one that the client asks for
	Weight   int     `json:"weight"`
	Active   int     `json:"active"`   // connections established or opening
	Inactive int     `json:"inactive"` // all others
	Removed  bool    `json:"removed"`  // no longer wanted, finishing its connections
	Traffic  Traffic `json:"traffic"`

	EffectiveWeight float64 `json:"effective_weight"`       // less than the weight while it starts slowly
	HandshakeUs     int64   `json:"handshake_us,omitempty"` // smoothed time to its answer to a connection's first packet; left out: none was measured

	Persistent int     `json:"persistent"` // clients bound to it by persistence
	SinceZero  Traffic `json:"since_zero"`
	Rate       Rate    `json:"rate"`
}

// Rate is traffic per second, averaged over about 8 seconds.
type Rate struct {
	Connections    uint64 `json:"connections"`
	RequestPackets uint64 `json:"request_packets"`
	RequestBytes   uint64 `json:"request_bytes"`
	ReplyPackets   uint64 `json:"reply_packets"`
	ReplyBytes     uint64 `json:"reply_bytes"`
}

// Traffic counts since the director's start; bytes are those of IP datagrams.
type Traffic struct {
	Connections    uint64 `json:"connections"`
	RequestPackets uint64 `json:"request_packets"`
	RequestBytes   uint64 `json:"request_bytes"`
	ReplyPackets   uint64 `json:"reply_packets"`
	ReplyBytes     uint64 `json:"reply_bytes"`
}

// Connections is a listing of the connection table, in no order.
type Connections struct {
	Version     int          `json:"version"`
	Connections []Connection `json:"connections"`
	Complete    bool         `json:"complete"` // false: the limit was reached
}

// Connection is one connection.
type Connection struct {
	Protocol  string `json:"protocol"` // tcp or udp
	State     string `json:"state"`    // IPVS's name of it
	Client    string `json:"client"`   // CIP:cport
	Virtual   string `json:"virtual"`  // VIP:vport; port 0 for persistence over all ports of a service
	Real      string `json:"real"`     // RIP:rport
	ExpiresMs int64  `json:"expires_ms"`
	Worker    int    `json:"worker"`
}

// Reloaded says what a reload has done.
type Reloaded struct {
	Version int      `json:"version"`
	Changes []string `json:"changes"` // what changed, a sentence each; empty: nothing differed
	Restart []string `json:"restart"` // keys that have changed and only a restart applies
}

// Wanted is what can be changed at run time: the timeouts, and all services in
// the order in which they were added. It is read, changed and sent back whole.
type Wanted struct {
	Version  int             `json:"version"`
	Revision uint64          `json:"revision"` // counts changes; only the one in force can be replaced
	Timeouts TimeoutSeconds  `json:"timeouts"`
	Services []WantedService `json:"services"`
}

// TimeoutSeconds are the idle times after which a connection is forgotten.
// TCPSYN is there under the TCP profile rfc only.
type TimeoutSeconds struct {
	TCP    int64 `json:"tcp"`
	TCPFIN int64 `json:"tcpfin"`
	UDP    int64 `json:"udp"`
	TCPSYN int64 `json:"tcpsyn,omitempty"`
}

// WantedService is the wanted state of one virtual service.
type WantedService struct {
	Protocol    string             `json:"protocol"` // tcp or udp
	Address     string             `json:"address"`  // VIP:port, or with ranges VIP/bits:first-last; port 0 for all ports
	Scheduler   string             `json:"scheduler"`
	Flags       WantedFlags        `json:"flags"`
	Persistence int64              `json:"persistence"`       // seconds; 0: none
	Netmask     string             `json:"netmask,omitempty"` // of persistence
	OnePacket   bool               `json:"one_packet"`
	RotateTies  bool               `json:"rotate_ties,omitempty"`
	SlowStart   int64              `json:"slow_start,omitempty"` // seconds; 0: none
	Realservers []WantedRealserver `json:"realservers"`          // in the order in which they were added
}

// WantedFlags change what some schedulers do, as ipvsadm -b.
type WantedFlags struct {
	SHFallback bool `json:"sh_fallback,omitempty"`
	SHPort     bool `json:"sh_port,omitempty"`
	MHFallback bool `json:"mh_fallback,omitempty"`
	MHPort     bool `json:"mh_port,omitempty"`
}

// WantedRealserver is the wanted state of one realserver of a service.
type WantedRealserver struct {
	Address string `json:"address"` // RIP:port; port 0 for the one that the client asks for
	Weight  int    `json:"weight"`
	Upper   int    `json:"upper_threshold"` // 0: none
	Lower   int    `json:"lower_threshold"`
}

// Replaced says that a wanted state is in force.
type Replaced struct {
	Version  int    `json:"version"`
	Revision uint64 `json:"revision"` // of the state now in force
}

// Zero names the services whose shown counters are to begin anew; none means
// all.
type Zero struct {
	Services []ServiceName `json:"services"`
}

// ServiceName names a service.
type ServiceName struct {
	Protocol string `json:"protocol"` // tcp or udp
	Address  string `json:"address"`  // as WantedService has it
}

// Done answers what has no other answer.
type Done struct {
	Version int `json:"version"`
}

// Saved is a configuration as a file would have it.
type Saved struct {
	Version int    `json:"version"`
	Text    string `json:"text"` // YAML
}

// Failure says why a request was not done.
type Failure struct {
	Version int    `json:"version"`
	Error   string `json:"error"`
}

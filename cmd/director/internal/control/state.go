package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/scheduler"
)

// ErrChanged says that the state was changed by somebody else since it was
// read. Whoever gets it reads the state again and decides anew.
var ErrChanged = errors.New("the services were changed by somebody else meanwhile")

// A State is what can be changed at run time without a file.
type State struct {
	Revision uint64 // counts changes; Replace takes only the one in force
	Timeouts config.Timeouts
	Services []scheduler.ServiceSpec
}

// wanted puts a state into the wire's words.
func (s State) wanted() Wanted {
	w := Wanted{
		Version:  Version,
		Revision: s.Revision,
		Timeouts: TimeoutSeconds{seconds(s.Timeouts.TCP), seconds(s.Timeouts.TCPFIN), seconds(s.Timeouts.UDP), seconds(s.Timeouts.TCPSYN)},
		Services: make([]WantedService, len(s.Services)),
	}
	for i, spec := range s.Services {
		service := WantedService{
			Protocol:    ProtocolName(spec.Protocol),
			Address:     spec.Address.String(),
			Scheduler:   spec.Scheduler,
			Flags:       WantedFlags(spec.Flags),
			Persistence: seconds(spec.Persistence),
			OnePacket:   spec.OnePacket,
			RotateTies:  spec.RotateTies,
			SlowStart:   seconds(spec.SlowStart),
			Realservers: make([]WantedRealserver, len(spec.Realservers)),
		}
		if spec.Netmask != 0 {
			service.Netmask = Addr(spec.Netmask).String()
		}
		for j, rs := range spec.Realservers {
			service.Realservers[j] = WantedRealserver{rs.Address.String(), rs.Weight, rs.Upper, rs.Lower}
		}
		w.Services[i] = service
	}
	return w
}

// state reads a state from the wire's words.
func (w Wanted) state() (State, error) {
	s := State{
		Revision: w.Revision,
		Timeouts: config.Timeouts{
			TCP: duration(w.Timeouts.TCP), TCPFIN: duration(w.Timeouts.TCPFIN), UDP: duration(w.Timeouts.UDP), TCPSYN: duration(w.Timeouts.TCPSYN),
		},
		Services: make([]scheduler.ServiceSpec, len(w.Services)),
	}
	for i, service := range w.Services {
		var err error
		if s.Services[i], err = service.spec(); err != nil {
			return State{}, fmt.Errorf("service %d: %w", i, err)
		}
	}
	return s, nil
}

// key reads the name of a service.
func (n ServiceName) key() (scheduler.Key, error) {
	var spec scheduler.ServiceSpec
	var err error
	if spec.Address, err = scheduler.ParseAddress(n.Address); err != nil {
		return scheduler.Key{}, err
	}
	if !spec.Address.Addr().Is4() {
		return scheduler.Key{}, fmt.Errorf("%q is not an IPv4 address with a port", n.Address)
	}
	spec.Protocol, err = protocolNumber(n.Protocol)
	return spec.Key(), err
}

// nameOf names a service to the director.
func nameOf(key scheduler.Key) ServiceName {
	return ServiceName{Protocol: ProtocolName(key.Protocol), Address: key.Address().String()}
}

func (s WantedService) spec() (scheduler.ServiceSpec, error) {
	spec := scheduler.ServiceSpec{
		Scheduler:   s.Scheduler,
		Flags:       scheduler.Flags(s.Flags),
		Persistence: duration(s.Persistence),
		OnePacket:   s.OnePacket,
		RotateTies:  s.RotateTies,
		SlowStart:   duration(s.SlowStart),
	}
	var err error
	if spec.Address, err = scheduler.ParseAddress(s.Address); err != nil {
		return spec, err
	}
	if spec.Protocol, err = protocolNumber(s.Protocol); err != nil {
		return spec, err
	}
	if s.Netmask != "" {
		if spec.Netmask, err = netmask(s.Netmask); err != nil {
			return spec, err
		}
	}
	for _, rs := range s.Realservers {
		address, err := netip.ParseAddrPort(rs.Address)
		if err != nil {
			return spec, err
		}
		spec.Realservers = append(spec.Realservers, scheduler.RealserverSpec{
			Address: address, Weight: rs.Weight, Upper: rs.Upper, Lower: rs.Lower,
		})
	}
	return spec, nil
}

// netmask reads a mask in dotted notation into host order.
func netmask(text string) (uint32, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		return 0, fmt.Errorf("%q is not a netmask such as 255.255.255.0", text)
	}
	return hostOrder(addr), nil
}

func hostOrder(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

func protocolNumber(name string) (uint8, error) {
	switch name {
	case "tcp":
		return unix.IPPROTO_TCP, nil
	case "udp":
		return unix.IPPROTO_UDP, nil
	}
	return 0, fmt.Errorf("protocol %q is neither tcp nor udp", name)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func duration(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }

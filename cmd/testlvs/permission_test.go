package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"lvsnat/test/lab/labtest"
)

func TestOnlyWhatStaysInsideThisMachineIsFlooded(t *testing.T) {
	attrs := func(name string, flags net.Flags) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: name, Flags: flags}
	}
	var (
		veth     = &netlink.Veth{LinkAttrs: attrs("veth0", 0)}
		loopback = &netlink.Device{LinkAttrs: attrs("lo", net.FlagLoopback)}
		hardware = &netlink.Device{LinkAttrs: attrs("eth0", 0)}
		macvlan  = &netlink.Macvlan{LinkAttrs: attrs("macvlan0", 0)}
		bridge   = &netlink.Bridge{LinkAttrs: attrs("br0", 0)}
	)
	for _, c := range []struct {
		name      string
		link      netlink.Link
		gateway   bool
		namespace string
		refused   string
	}{
		{name: "a neighbour over a veth", link: veth},
		{name: "the machine itself", link: loopback},
		{name: "beyond a gateway in a named namespace", link: veth, gateway: true, namespace: "lab"},
		{name: "beyond a gateway in no named namespace", link: veth, gateway: true, refused: "gateway 10.0.0.9"},
		{name: "a neighbour over a real NIC", link: hardware, refused: "eth0 (device)"},
		{name: "a real NIC moved into a named namespace", link: hardware, namespace: "lab", refused: "eth0 (device)"},
		{name: "a macvlan on a real NIC", link: macvlan, namespace: "lab", refused: "macvlan0 (macvlan)"},
		{name: "a bridge that may hold a real NIC", link: bridge, refused: "br0 (bridge)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := permit(&route{link: c.link, gateway: c.gateway, hop: netip.MustParseAddr("10.0.0.9")}, c.namespace)
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != "" && err == nil:
				t.Error("permitted")
			case err != nil && (!strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "-i-own-this-network")):
				t.Errorf("refused with %q, want a message with %q and the remedy", err, c.refused)
			}
		})
	}
}

func TestANamedNamespaceIsRecognised(t *testing.T) {
	if name, err := namespaceName(); err != nil || name != "" {
		t.Errorf("the machine's first namespace is called %q, %v", name, err)
	}
	host, err := labtest.New(t).Host("generator")
	if err != nil {
		t.Fatal(err)
	}
	var name string
	err = host.Do(func() (err error) {
		name, err = namespaceName()
		return err
	})
	if err != nil || name != host.Namespace {
		t.Errorf("inside %s the name is %q, %v", host.Namespace, name, err)
	}
}

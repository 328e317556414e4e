package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// namespaceDir holds a name for each network namespace that somebody made with
// one (ip-netns(8)).
const namespaceDir = "/run/netns"

// permit refuses a target that the flood might reach outside this machine.
//
// What counts as inside: the NIC is one of the kernel's own that ends in this
// machine, and either this process runs in a network namespace that somebody
// made and named, or the target is a neighbour on that link. A nameless
// namespace, as containers have, usually leads to the world through its
// default route, so there a gateway is refused.
func permit(r *route, namespace string) error {
	const remedy = "; if all of that network is yours, say -i-own-this-network"
	attrs := r.link.Attrs()
	if !staysInside(r.link.Type(), attrs.Flags) {
		return fmt.Errorf("refusing to flood through %s (%s): it may lead out of this machine%s",
			attrs.Name, r.link.Type(), remedy)
	}
	if r.gateway && namespace == "" {
		return fmt.Errorf("refusing to flood through the gateway %s: this is not a network namespace made for it (ip netns add), and beyond a gateway may be anybody%s",
			r.hop, remedy)
	}
	return nil
}

// staysInside reports whether a link of this kind ends in this machine. A
// bridge, VLAN or macvlan does not count: below it may be a real NIC.
func staysInside(kind string, flags net.Flags) bool {
	return kind == "veth" || kind == "dummy" || flags&net.FlagLoopback != 0
}

// namespaceName is the name of the network namespace of the calling thread, or
// empty when it has none: the machine's first one, or a container's.
func namespaceName() (string, error) {
	own, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return "", fmt.Errorf("look at the own network namespace: %w", err)
	}
	entries, err := os.ReadDir(namespaceDir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("list the network namespaces: %w", err)
	}
	for _, entry := range entries {
		// A namespace may vanish between the listing and this look at it.
		info, err := os.Stat(filepath.Join(namespaceDir, entry.Name()))
		if err == nil && os.SameFile(own, info) {
			return entry.Name(), nil
		}
	}
	return "", nil
}

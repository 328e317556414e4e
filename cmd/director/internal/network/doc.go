// Package network watches the links, addresses, routes and neighbours of the
// director's box by netlink and tells the dataplane.
//
// Links, addresses and routes are read whole after each change: the kernel's
// notifications only say that it is time to. So one that is lost does no harm
// beyond the delay, and a burst of them costs one reading. Neighbours follow
// their notifications one by one, and are read whole when some were lost.
//
// Routes are those of the main table (no policy routing, no VRF). Of several
// for one prefix the one with the lowest metric counts, of a multipath route
// the first next hop whose link works; routes for one type of service are
// passed over.
//
// Neighbours are resolved by the kernel: the director's packets do not pass
// through its stack, so the watcher asks it to (NTF_USE) and waits for the
// outcome. Nothing is polled.
package network

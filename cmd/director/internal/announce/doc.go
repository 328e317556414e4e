// Package announce makes the network find the VIPs that the kernel does not own.
//
// For a VIP that is among the box's own addresses the kernel answers ARP, by
// its own rules (arp_ignore and the like), and the director stays silent: an
// announcement could take a VIP that is hidden on purpose away from its holder.
// For all others the [Announcer] answers on the VIP NIC, and announces them when
// they are new, when the NIC comes back and when its Ethernet address changes.
//
// Of all VIPs it watches whether another machine claims them. Such a conflict is
// counted and logged, and a VIP that the kernel does not own is defended with an
// announcement, at most every ten seconds (RFC 5227 section 2.4).
//
// ARP in VLAN tags belongs to another network and is left alone.
package announce

// Package guard keeps the kernel from handling what the director handles.
//
// The director reads its NICs through AF_PACKET, which gives it a copy of each
// frame; the kernel goes on with the original, answers a VIP's clients with
// resets or forwards replies untranslated. The guard is an nft table of family
// netdev, hooked at the ingress of the director's NICs. That hook runs after the
// taps for all protocols and before the kernel looks at the packet
// (__netif_receive_skb_core in net/core/dev.c), so the director sees what the
// guard drops. A VLAN tag is already out of the frame there, so tagged frames
// are treated like others; of two tags the inner one remains, and such frames
// are left alone.
//
// The guard drops:
//   - all IPv4 to a VIP that is not among the box's own addresses: the
//     director answers for the whole address;
//   - to a VIP that the kernel owns, the services' protocols and ports;
//   - from a realserver's service port, what the kernel would forward, and
//     the ICMP errors and later fragments that belong to it; but not to
//     somebody who talks to the realserver by its own address.
//
// It never drops ARP, IPv6, or anything to the box's own addresses but the
// services, so ssh and health checks stay as they are.
//
// In front of the table, on the VIP NIC, a tc filter drops most requests before
// nftables looks at them. It is for speed only: it drops nothing that the table
// does not, and where it cannot be, the table does it all.
//
// All changes of the table are single transactions, and the filter's program is
// replaced in one step after them. Both outlive the process: after a crash the
// kernel must not reset the connections that the next start takes over.
// [Guard.Remove] takes them away.
package guard

package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"lvsnat/cmd/director/internal/control"
	"lvsnat/dataplane"
)

// backendLabels are node_exporter's, in its order. local_mark is the firewall
// mark of a service; a director has none, and node_exporter has an empty
// string then. Of a service with ranges, which IPVS does not know,
// local_address is the prefix and local_port the first and the last port: its
// realservers have one count over all of them.
var backendLabels = []string{"local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"}

var (
	ipvsConnections     = desc("node_ipvs_connections_total", "The total number of connections made.")
	ipvsIncomingPackets = desc("node_ipvs_incoming_packets_total", "The total number of incoming packets.")
	ipvsOutgoingPackets = desc("node_ipvs_outgoing_packets_total", "The total number of outgoing packets.")
	ipvsIncomingBytes   = desc("node_ipvs_incoming_bytes_total", "The total amount of incoming data.")
	ipvsOutgoingBytes   = desc("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data.")

	ipvsActive   = desc("node_ipvs_backend_connections_active", "The current active connections by local and remote address.", backendLabels...)
	ipvsInactive = desc("node_ipvs_backend_connections_inactive", "The current inactive connections by local and remote address.", backendLabels...)
	ipvsWeight   = desc("node_ipvs_backend_weight", "The current backend weight by local and remote address.", backendLabels...)
)

// Of every realserver, too, but not of node_exporter's.
var (
	effectiveWeight = desc("director_backend_effective_weight", "The weight that counts at the moment, less than the backend's weight while it starts slowly.", backendLabels...)
	handshake       = desc("director_backend_handshake_seconds", "The smoothed time that the backend takes to answer the first packet of a connection.", backendLabels...)
)

var ipvsDescs = []*prometheus.Desc{
	ipvsConnections, ipvsIncomingPackets, ipvsOutgoingPackets, ipvsIncomingBytes, ipvsOutgoingBytes,
	ipvsActive, ipvsInactive, ipvsWeight, effectiveWeight, handshake,
}

// collectIPVS sends what node_exporter reads from /proc/net/ip_vs and
// /proc/net/ip_vs_stats.
func collectIPVS(send sender, stats dataplane.Stats) {
	send.counter(ipvsConnections, stats.Total.Connections)
	send.counter(ipvsIncomingPackets, stats.Total.RequestPkts)
	send.counter(ipvsOutgoingPackets, stats.Total.ReplyPkts)
	send.counter(ipvsIncomingBytes, stats.Total.RequestBytes)
	send.counter(ipvsOutgoingBytes, stats.Total.ReplyBytes)

	for _, service := range stats.Services {
		for _, rs := range service.Realservers {
			// The kernel's table does not list a removed server either.
			if rs.Removed {
				continue
			}
			labels := []string{
				service.Address().HostText(), service.Address().PortText(),
				control.Addr(rs.Addr).String(), strconv.Itoa(int(rs.Port)),
				strings.ToUpper(control.ProtocolName(service.Protocol)), "",
			}
			send.gauge(ipvsActive, float64(rs.Active), labels...)
			send.gauge(ipvsInactive, float64(rs.Inactive), labels...)
			send.gauge(ipvsWeight, float64(rs.Weight), labels...)
			send.gauge(effectiveWeight, rs.Share, labels...)
			if rs.Handshake != 0 {
				send.gauge(handshake, rs.Handshake.Seconds(), labels...)
			}
		}
	}
}

// Package metrics shows the director's counters to Prometheus.
//
// There are two families. node_ipvs_* has the names, help texts and labels of
// node_exporter (collector/ipvs_linux.go), so that dashboards and alerts made
// for a kernel IPVS go on working. director_* is what a kernel IPVS cannot say:
// what became of each packet, and how full table and rings are.
//
// Nothing is counted here. A scrape asks the workers for a copy of their
// counters, so the packet path pays for a scrape only when there is one.
package metrics

package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"lvsnat/dataplane"
)

var (
	packets     = desc("director_packets_total", "Received frames by what became of them; each frame has one verdict.", "verdict", "worker")
	queuedSent  = desc("director_queued_packets_sent_total", "Frames that waited for a next hop's link address and were then sent.", "worker")
	queuedLost  = desc("director_queued_packets_lost_total", "Frames that waited for a next hop that did not answer.", "worker")
	connections = desc("director_connections", "Entries in the connection table.")
	halfOpen    = desc("director_connections_half_open", "Entries in the connection table that are not answered or not established.")
	limit       = desc("director_connections_limit", "Entries the connection table has room for.")
	evicted     = desc("director_connections_evicted_total", "Half-open or closing connections that made way for new ones.")

	threads = desc("director_threads", "Threads that carry the workers: one each, or fewer while nothing is answered, as in a flood, and these forward as much or more.")

	floodStage    = desc("director_flood_stage", "Which stage of the defence against floods of new connections is in force: evicting means that the table is full and half-open connections make way, shedding that the receive ring is crowded and only some connections of unknown clients are admitted.", "stage", "worker")
	floodAdmitted = desc("director_flood_admitted_per_second", "Connections of unknown clients that are admitted in the stage shedding.", "worker")

	ringReceived  = desc("director_ring_packets_received_total", "Frames taken from the receive ring.", "nic", "worker")
	ringDrops     = desc("director_ring_drops_total", "Frames for which the receive ring had no room.", "nic", "worker")
	ringTruncated = desc("director_ring_truncated_total", "Frames larger than a receive ring's slot that could not be fetched whole.", "nic", "worker")
	transmitSent  = desc("director_transmit_packets_total", "Frames the NIC took.", "nic", "worker")
	transmitDrops = desc("director_transmit_drops_total", "Frames the transmit ring or the NIC did not take.", "nic", "worker")

	arpConflicts  = desc("director_arp_conflicts_total", "ARP packets in which another machine said that it has a virtual address.")
	guard         = desc("director_guard", "Whether the guard keeps the kernel from the director's traffic, by configured mode.", "mode")
	classifier    = desc("director_guard_classifier", "Whether a tc filter drops requests before they reach the guard's rules.")
	tcpProfile    = desc("director_tcp_profile", "A metric with the constant value 1, labelled by the rules for TCP connections.", "profile")
	reloadOK      = desc("director_config_last_reload_successful", "Whether the last reading of the configuration file succeeded.")
	reloadSuccess = desc("director_config_last_reload_success_timestamp_seconds", "When the configuration in force was read, in seconds since 1970.")
	buildInfo     = desc("director_build_info", "A metric with the constant value 1, labelled by what this director was built from.", "version", "goversion", "revision")
)

var directorDescs = []*prometheus.Desc{
	packets, queuedSent, queuedLost, connections, halfOpen, limit, evicted,
	threads, floodStage, floodAdmitted,
	ringReceived, ringDrops, ringTruncated, transmitSent, transmitDrops,
	arpConflicts, guard, classifier, tcpProfile, reloadOK, reloadSuccess, buildInfo,
}

func collectFacts(send sender, facts Facts) {
	send.counter(arpConflicts, facts.ARPConflicts)
	send.gauge(guard, truth(facts.GuardActive), facts.GuardMode)
	send.gauge(classifier, truth(facts.Classifying))
	send.gauge(tcpProfile, 1, facts.TCPProfile)
	send.gauge(reloadOK, truth(facts.ReloadOK))
	send.gauge(reloadSuccess, float64(facts.ConfigLoaded.UnixMilli())/1000)
	send.gauge(buildInfo, 1, facts.Build.Version, facts.Build.GoVersion, facts.Build.Revision)
}

// collectTable sends what an operator watches of the connection table. Each
// worker has its share of it, but the client's address decides which, so that
// only the sum says something.
func collectTable(send sender, workers []dataplane.WorkerStats) {
	var all dataplane.WorkerStats
	for _, w := range workers {
		all.Connections += w.Connections
		all.HalfOpen += w.HalfOpen
		all.Capacity += w.Capacity
		all.Evicted += w.Evicted
	}
	send.gauge(connections, float64(all.Connections))
	send.gauge(halfOpen, float64(all.HalfOpen))
	send.gauge(limit, float64(all.Capacity))
	send.counter(evicted, all.Evicted)
}

func collectWorkers(send sender, stats dataplane.Stats, nics []string) {
	send.gauge(threads, float64(stats.Threads))
	for i, w := range stats.Workers {
		worker := strconv.Itoa(i)
		for v, n := range w.Verdicts {
			send.counter(packets, n, dataplane.Verdict(v).String(), worker)
		}
		send.counter(queuedSent, w.QueuedSent, worker)
		send.counter(queuedLost, w.QueuedLost, worker)
		for stage := range dataplane.NumFloodStages {
			send.gauge(floodStage, truth(stage == w.Flood), stage.String(), worker)
		}
		send.gauge(floodAdmitted, float64(w.Admitted), worker)
		for port, p := range w.Ports {
			nic := nics[port]
			send.counter(ringReceived, p.Receiver.Received, nic, worker)
			send.counter(ringDrops, p.Receiver.Dropped, nic, worker)
			send.counter(ringTruncated, p.Receiver.Truncated, nic, worker)
			send.counter(transmitSent, p.Sender.Sent, nic, worker)
			send.counter(transmitDrops, p.Sender.Dropped, nic, worker)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package target

// All is every target, in the order of the report.
var All = []Target{
	{"SYN flood, 1,000 flows, director / nft", false, 1.3, 2, against("nft", "flood-1k", "")},
	{"SYN flood, every packet a new flow, director / nft", false, 2.5, 4, against("nft", "flood-new", "")},
	{"SYN flood, 1,000 flows, director / testpmd", false, 1.3, 1.8, against("testpmd", "flood-1k", "")},
	{"SYN flood, 1,000 flows, director / null forwarder", false, 0.9, 0.97, against("forwarder", "flood-1k", "")},
	{"CPU per packet, all cores, director / nft", true, 1.6, 1.1, against("nft", "flood-1k", "cpu_ns_per_packet")},
	{"iperf3 to the realserver, director / nft", false, 0.9, 1.1, against("nft", "iperf3-to", "")},
	{"iperf3 from the realserver, director / nft", false, 0.9, 1.1, against("nft", "iperf3-from", "")},
	{"iperf3 to the realserver, director / HAProxy", false, 1.5, 2.5, against("haproxy", "iperf3-to", "")},
	{"iperf3 from the realserver, director / HAProxy", false, 1.5, 2.5, against("haproxy", "iperf3-from", "")},
	{"request/response, 1 connection, director / nft", false, 1.0, 2, against("nft", "request-1", "")},
	{"request/response, 50 connections, director / nft", false, 0.85, 1.1, against("nft", "request-50", "")},
	{"request/response, 50 connections, director / HAProxy", false, 1.7, 2.5, against("haproxy", "request-50", "")},
	{"connect-request-close, director / nft", false, 1.1, 1.4, against("nft", "connect", "")},
	{"connect-request-close, director / HAProxy", false, 1.4, 2, against("haproxy", "connect", "")},
	{"p99 latency at half load, director / nft", true, 1.2, 0.9, against("nft", "latency", "p99_us")},
	{"pipeline in memory, 1,000 connections, ns/packet", true, 45, 25, pipeline(pipeline1k)},
	{"the same, 10,000,000 connections / 1,000", true, 3, 2, pipelines(pipeline10M, pipeline1k)},
	{"bytes per connection at 10,000,000", true, 96, 76, inMemory("Memory/connections=10000000", "B/connection")},
	{"rate of new flows / of established ones", false, 0.8, 0.95, between("flood-new", "flood-1k")},
	{"two workers / one, in memory", false, 1.9, 1.98, workers},
	{"p99.9 of a batch, a collection every second / none", true, 1.1, 1.03, collections},

	{"flood at half rate: throughput of a transfer", false, 0.95, 0.95, own("alive-half", "transfer_flood_ratio")},
	{"flood at half rate: new connections that succeed", false, 0.99, 0.99, own("alive-half", "connect_flood_success")},
	{"flood at half rate: p99 of connecting, during / before", true, 2, 2, own("alive-half", "connect_flood_p99_ratio")},
	{"flood at full rate: throughput of a transfer", false, 0.475, 0.475, own("alive-full", "transfer_flood_ratio")},
	{"flood at full rate: new connections that succeed", false, 0.495, 0.495, own("alive-full", "connect_flood_success")},
	{"flood at full rate: memory, MiB", true, memoryCap, memoryCap, mebibytes("alive-full", "memory_flood_bytes")},
	{"2 s after the flood: throughput of a transfer", false, 0.95, 0.95, own("alive-full", "transfer_after_ratio")},
	{"2 s after the flood: new connections that succeed", false, 0.99, 0.99, own("alive-full", "connect_after_success")},
	{"2 s after the flood: p99 of connecting, after / before", true, 2, 2, own("alive-full", "connect_after_p99_ratio")},
}

// memoryCap is 96 bytes for each of the 2,097,152 connections that the director
// holds by default, and 64 MiB for the program and its rings, in MiB.
const memoryCap = 2*96 + 64

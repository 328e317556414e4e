// Package dataplane carries packets from the clients to the realservers and
// back. It knows no NIC, no file and no operator: main plugs in the rings
// ([Receiver], [Sender]), tells it the wanted services and the network around
// it, and reads its counters.
//
// # One packet's way
//
//  1. worker.go    a batch of frames is lent by a receive ring
//  2. packet.Parse every header is looked at once; a bad frame ends here
//  3. handle.go    the connection is looked up by the client's end
//  4. open.go      only without a connection: service, realserver, new entry
//  5. conntrack    the state machine sees the packet; the deadline moves
//  6. nexthop.go   which NIC, which link address
//  7. handle.go    the frame is copied once, into the transmit ring
//  8. rewrite.go   there the addresses, a port, TTL and checksums change
//  9. worker.go    the batch is flushed, then the received frames released
//
// Beside this way, in files of their own: which thread carries which workers
// (thread.go, gather.go), what becomes of a flood of new connections
// (admission.go, clients.go), answers the director gives itself
// (answer.go), frames that wait for a neighbour (pending.go), frames that
// belong to another worker (handover.go), datagrams that are translated without
// a connection (onepacket.go).
//
// Every frame ends in exactly one [Verdict], which is counted.
//
// # Who touches what
//
// A worker owns its connection table, its next hops, its counters and its
// ports; nobody but the thread that carries it reads or writes them. Whoever wants something from a
// worker gives it a function to run between two batches (calls.go). What all
// workers share is a [scheduler.Set] and the network, both immutable snapshots
// loaded once a batch, and the counts of connections of each realserver.
package dataplane

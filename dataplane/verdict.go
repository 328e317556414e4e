package dataplane

import "lvsnat/dataplane/packet"

// A Verdict is what became of one received frame. Every frame gets exactly
// one; it is counted and never logged.
type Verdict uint8

// The verdicts. Their names, which are labels of director_packets_total, are
// in verdictNames.
const (
	ForwardedRequest Verdict = iota // rewritten and sent to a realserver
	ForwardedReply                  // rewritten and sent to a client
	Queued                          // waits for its next hop's link address
	HandedOver                      // given to the worker that owns the connection
	AnsweredEcho                    // an ICMP echo request for a VIP that the kernel does not own
	Refused                         // answered with a TCP RST: no such port, or no such connection
	Unreachable                     // answered with ICMP port unreachable: no such port, or no usable realserver
	TimeExceeded                    // TTL ran out; answered with ICMP time exceeded
	AnswerLimited                   // would have been answered, but the rate limit of answers is reached

	NotForUs           // neither to a VIP nor from a realserver's service port: the kernel's
	KernelsOwn         // to a VIP that the kernel owns, but no service of the director: the kernel answers
	NoConnection       // a realserver's packet that belongs to no connection
	Shed               // a new connection of an unknown client, passed over because more arrive than can be carried
	TableFull          // the connection table is full of connections that are worth more
	TupleClash         // the realserver would see two connections with the same addresses and ports
	NoRoute            // no route, or one through another NIC
	NeighbourFailed    // the next hop does not answer
	NeighbourQueueFull // too many frames wait for next hops
	TransmitFull       // the transmit ring has no room, or the frame is too large for the link
	HandoverFull       // the owning worker's inbox has no room
	UnsupportedICMP    // an ICMP message about or to a VIP other than echo

	NotIPv4
	Short
	BadVersion
	BadHeaderLength
	BadTotalLength
	BadHeaderChecksum
	BadAddress
	Fragmented
	BadTransportLength
	UnknownProtocol
	BadICMPChecksum

	NumVerdicts // their number
)

var verdictNames = [NumVerdicts]string{
	ForwardedRequest:   "forwarded_request",
	ForwardedReply:     "forwarded_reply",
	Queued:             "queued",
	HandedOver:         "handed_over",
	AnsweredEcho:       "answered_echo",
	Refused:            "refused",
	Unreachable:        "unreachable",
	TimeExceeded:       "time_exceeded",
	AnswerLimited:      "answer_limited",
	NotForUs:           "not_for_us",
	KernelsOwn:         "kernels_own",
	NoConnection:       "no_connection",
	Shed:               "shed",
	TableFull:          "table_full",
	TupleClash:         "tuple_clash",
	NoRoute:            "no_route",
	NeighbourFailed:    "neighbour_failed",
	NeighbourQueueFull: "neighbour_queue_full",
	TransmitFull:       "transmit_full",
	HandoverFull:       "handover_full",
	UnsupportedICMP:    "unsupported_icmp",
	NotIPv4:            "not_ipv4",
	Short:              "short",
	BadVersion:         "bad_version",
	BadHeaderLength:    "bad_header_length",
	BadTotalLength:     "bad_total_length",
	BadHeaderChecksum:  "bad_header_checksum",
	BadAddress:         "bad_address",
	Fragmented:         "fragmented",
	BadTransportLength: "bad_transport_length",
	UnknownProtocol:    "unknown_protocol",
	BadICMPChecksum:    "bad_icmp_checksum",
}

// String returns the verdict's name, lower case with underscores.
func (v Verdict) String() string {
	if v < NumVerdicts {
		return verdictNames[v]
	}
	return "invalid"
}

// verdictOfStatus maps what Parse found wrong to the frame's verdict.
var verdictOfStatus = [...]Verdict{
	packet.NotIPv4:            NotIPv4,
	packet.Short:              Short,
	packet.BadVersion:         BadVersion,
	packet.BadHeaderLength:    BadHeaderLength,
	packet.BadTotalLength:     BadTotalLength,
	packet.BadHeaderChecksum:  BadHeaderChecksum,
	packet.BadAddress:         BadAddress,
	packet.Fragment:           Fragmented,
	packet.BadTransportLength: BadTransportLength,
	packet.UnknownProtocol:    UnknownProtocol,
	packet.BadICMPChecksum:    BadICMPChecksum,
}

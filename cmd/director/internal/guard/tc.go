package guard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The place of the classifier among the filters of a NIC's ingress. The last
// priority leaves the filters of others their say. The kernel keeps no name of
// a filter in classic BPF, so the handle is what the classifier is known by; it
// reads "lvsn".
const (
	filterKind     = "bpf"
	filterHandle   = 0x6c76736e
	filterPriority = 0xffff
	clsact         = "clsact"

	// skipHardware is TCA_CLS_FLAGS_SKIP_HW (linux/pkt_cls.h). What a NIC drops
	// by itself the director's rings do not see either.
	skipHardware = 1

	atIngress = netlink.HANDLE_MIN_INGRESS
	atEgress  = netlink.HANDLE_MIN_EGRESS
)

// A tcObject is a qdisc or filter as the kernel lists it.
type tcObject struct {
	index                int // of the NIC
	kind                 string
	handle, parent, info uint32 // struct tcmsg (linux/rtnetlink.h)
}

// ours reports whether a filter is the classifier.
func (o tcObject) ours() bool {
	return o.kind == filterKind && o.handle == filterHandle && o.info == allProtocols(filterPriority)
}

// allProtocols is the info of a filter for frames of all protocols: one with a
// VLAN tag has another than its packet (tcf_classify in net/sched/cls_api.c).
func allProtocols(priority uint16) uint32 {
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	return netlink.MakeHandle(priority, protocol)
}

// tcRequest is a request about an object.
func tcRequest(command, flags int, o tcObject) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(command, flags)
	r.AddData(&nl.TcMsg{Ifindex: int32(o.index), Handle: o.handle, Parent: o.parent, Info: o.info})
	if o.kind != "" {
		r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(o.kind)))
	}
	return r
}

func execute(r *nl.NetlinkRequest) error {
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// addClsact gives a NIC the qdisc that holds filters, unless it has one.
func addClsact(index int) (made bool, err error) {
	err = execute(tcRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, clsactOf(index)))
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

// deleteClsact removes that qdisc.
func deleteClsact(index int) error {
	return execute(tcRequest(unix.RTM_DELQDISC, unix.NLM_F_ACK, clsactOf(index)))
}

func clsactOf(index int) tcObject {
	return tcObject{index: index, kind: clsact, handle: netlink.MakeHandle(0xffff, 0), parent: netlink.HANDLE_CLSACT}
}

func classifierOn(index int) tcObject {
	return tcObject{index: index, kind: filterKind, handle: filterHandle, parent: atIngress, info: allProtocols(filterPriority)}
}

// replaceFilter adds a filter, or puts a program in the place of the filter's,
// which runs until the new one does.
func replaceFilter(filter tcObject, program []bpf.RawInstruction) error {
	r := tcRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, filter)
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_OPS_LEN, nl.Uint16Attr(uint16(len(program))))
	options.AddRtAttr(nl.TCA_BPF_OPS, sockFilters(program))
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
	options.AddRtAttr(nl.TCA_BPF_FLAGS_GEN, nl.Uint32Attr(skipHardware))
	r.AddData(options)
	return execute(r)
}

// sockFilters lays a program out as an array of struct sock_filter
// (linux/filter.h).
func sockFilters(program []bpf.RawInstruction) []byte {
	var b []byte
	for _, in := range program {
		b = binary.NativeEndian.AppendUint16(b, in.Op)
		b = append(b, in.Jt, in.Jf)
		b = binary.NativeEndian.AppendUint32(b, in.K)
	}
	return b
}

// deleteFilter removes the classifier from a NIC.
func deleteFilter(index int) error {
	return execute(tcRequest(unix.RTM_DELTFILTER, unix.NLM_F_ACK, classifierOn(index)))
}

// qdiscs lists the qdiscs that hold filters of a NIC's ingress, of all NICs.
func qdiscs() ([]tcObject, error) {
	all, err := list(unix.RTM_GETQDISC, unix.RTM_NEWQDISC, tcObject{})
	var holders []tcObject
	for _, q := range all {
		if q.kind == clsact || q.kind == "ingress" {
			holders = append(holders, q)
		}
	}
	return holders, err
}

// filters lists the filters of a NIC in one direction.
func filters(index int, direction uint32) ([]tcObject, error) {
	return list(unix.RTM_GETTFILTER, unix.RTM_NEWTFILTER, tcObject{index: index, parent: direction})
}

// list lists objects. A kernel without traffic control has none.
func list(command int, answer uint16, of tcObject) ([]tcObject, error) {
	messages, err := tcRequest(command, unix.NLM_F_DUMP, of).Execute(unix.NETLINK_ROUTE, answer)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list qdiscs and filters: %w", err)
	}
	var objects []tcObject
	for _, m := range messages {
		o, err := tcObjectOf(m)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// tcObjectOf reads the kernel's message about an object.
func tcObjectOf(m []byte) (tcObject, error) {
	if len(m) < nl.SizeofTcMsg {
		return tcObject{}, fmt.Errorf("list qdiscs and filters: a message of %d bytes", len(m))
	}
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(m[4*n:]) }
	o := tcObject{index: int(int32(word(1))), handle: word(2), parent: word(3), info: word(4)}
	attributes, err := nl.ParseRouteAttr(m[nl.SizeofTcMsg:])
	if err != nil {
		return o, fmt.Errorf("list qdiscs and filters: %w", err)
	}
	for _, a := range attributes {
		if a.Attr.Type == nl.TCA_KIND {
			o.kind = unix.ByteSliceToString(a.Value)
		}
	}
	return o, nil
}

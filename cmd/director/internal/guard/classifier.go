package guard

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A classifier is a tc filter in front of the guard's rules on the VIP NIC. It
// drops requests as the rules would, by a program of a few instructions, before
// nftables looks at them: a flood is carried faster by what that costs. The
// rules are complete without it, so it may be late, leave things out or be
// missing. The hook runs behind the taps for all protocols, as that of nftables
// does (sch_handle_ingress in __netif_receive_skb_core).
type classifier struct {
	known   bool                 // whether the rest says what the kernel has
	nic     string               // the VIP NIC
	index   int                  // of the NIC; 0: it is not there
	program []bpf.RawInstruction // empty: there is nothing to drop
	missing part                 // of the program
	failed  error                // why there is no filter
}

// Classifier says whether requests are dropped before they reach the guard's
// rules, and where or why not, in words for the operator. Both are empty while
// there is no guard.
func (g *Guard) Classifier() (active bool, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.classifier.describe()
}

func (c *classifier) describe() (active bool, why string) {
	switch {
	case !c.known:
		return false, ""
	case c.index == 0:
		return false, c.nic + " is not there"
	case c.failed != nil:
		return false, c.failed.Error()
	case c.missing == allToVIPs|toServices:
		return false, "the VIPs and ports are too many for its program"
	case len(c.program) == 0:
		return false, "there is nothing to drop"
	case c.missing == toServices:
		return true, "a tc filter on " + c.nic + ", but not for the VIPs that the box owns: their ports are too many for its program"
	case c.missing == allToVIPs:
		return true, "a tc filter on " + c.nic + ", but only for the VIPs that the box owns: the others are too many for its program"
	}
	return true, "a tc filter on " + c.nic
}

// set brings the filter up to date with rules that have been. That there can be
// none is no error; but when one stays that is out of date, that is, because it
// would drop what is the kernel's.
func (c *classifier) set(nic string, index int, rules contents) error {
	program, missing, err := programOf(rules)
	if err != nil {
		return fmt.Errorf("classifier on %s: %w", nic, err)
	}
	c.missing = missing
	if c.known && c.index == index && slices.Equal(c.program, program) {
		return nil
	}
	if !c.known || c.index != index {
		// Before a crash or a change of names it was on another NIC.
		if err := sweep(index); err != nil {
			return err
		}
	}
	var failed error
	if index != 0 {
		if len(program) > 0 {
			failed = install(nic, index, program)
		}
		if len(program) == 0 || failed != nil {
			if err := removeFrom(index); err != nil {
				return err
			}
		}
	}
	*c = classifier{known: true, nic: nic, index: index, program: program, missing: missing, failed: failed}
	return nil
}

// install puts the filter on a NIC, or another program into it. It goes beside
// others' filters, and uses their qdisc.
func install(nic string, index int, program []bpf.RawInstruction) error {
	made, err := addClsact(index)
	if err != nil {
		return fmt.Errorf("%s can have no tc filters (clsact needs CONFIG_NET_SCH_INGRESS): %w", nic, err)
	}
	if err = replaceFilter(classifierOn(index), program); err == nil {
		return nil
	}
	if made {
		err = errors.Join(err, deleteClsact(index))
	}
	return fmt.Errorf("no tc filter on %s (it needs CONFIG_NET_CLS_BPF, a qdisc of the NIC's own, and the last priority): %w", nic, err)
}

// sweep removes the filter from all NICs but one.
func sweep(but int) error {
	holders, err := qdiscs()
	if err != nil {
		return fmt.Errorf("guard: look for the classifier: %w", err)
	}
	for _, q := range holders {
		if q.index == but {
			continue
		}
		if err := removeFrom(q.index); err != nil {
			return err
		}
	}
	return nil
}

// removeFrom removes the filter from a NIC if it is there, and the qdisc when
// nobody's filters are left.
func removeFrom(index int) error {
	is, err := classified(index)
	if !is || err != nil {
		return err
	}
	if failed := deleteFilter(index); failed != nil {
		if is, err := classified(index); is || err != nil { // else it went with its NIC, or by another hand
			return fmt.Errorf("guard: remove the tc filter of NIC %d: %w", index, explain(failed))
		}
		return nil
	}
	holders, err := qdiscs()
	own := slices.ContainsFunc(holders, func(q tcObject) bool { return q.index == index && q.kind == clsact })
	if err != nil || !own {
		return err
	}
	for _, direction := range []uint32{atIngress, atEgress} {
		if left, err := filters(index, direction); len(left) > 0 || err != nil {
			return err
		}
	}
	if err := deleteClsact(index); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("guard: remove the clsact qdisc of NIC %d: %w", index, explain(err))
	}
	return nil
}

// classified reports whether the filter is on a NIC.
func classified(index int) (bool, error) {
	list, err := filters(index, atIngress)
	if err != nil {
		return false, fmt.Errorf("guard: look for the classifier: %w", err)
	}
	return slices.ContainsFunc(list, tcObject.ours), nil
}

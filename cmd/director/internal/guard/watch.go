package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nfgenmsgLen is the length of struct nfgenmsg (linux/netfilter/nfnetlink.h),
// which begins with the family.
const nfgenmsgLen = 4

// Watch calls removed each time somebody else has deleted the guard or a part
// of it, until ctx ends: a firewall that is loaded anew begins with `flush
// ruleset`. The caller answers with [Guard.Set]; the director is unguarded for
// the milliseconds in between. The first call comes at once, because what was
// deleted before has not been seen. After [Guard.Remove] nothing is called.
func (g *Guard) Watch(ctx context.Context, removed func()) error {
	notifications, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return fmt.Errorf("guard: subscribe to changes of nftables: %w", explain(err))
	}
	defer notifications.Close()
	defer context.AfterFunc(ctx, notifications.Close)()
	if g.wanted() {
		removed()
	}
	for {
		messages, _, err := notifications.Receive()
		switch {
		case ctx.Err() != nil, errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil && !errors.Is(err, unix.ENOBUFS): // ENOBUFS: some were lost, perhaps that one
			return fmt.Errorf("guard: receive changes of nftables: %w", err)
		}
		if (err != nil || g.concernedBy(messages)) && g.wanted() {
			removed()
		}
	}
}

// wanted reports whether the guard is meant to be there.
func (g *Guard) wanted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.indexes != nil
}

// concernedBy reports whether the guard's table, or a chain of it, is among
// what was deleted. The guard's own replacement of its table is, too; Set finds
// everything in its place then.
func (g *Guard) concernedBy(messages []syscall.NetlinkMessage) bool {
	for _, m := range messages {
		const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8
		switch m.Header.Type {
		case subsystem | unix.NFT_MSG_DELTABLE, subsystem | unix.NFT_MSG_DELCHAIN:
			if len(m.Data) >= nfgenmsgLen && m.Data[0] == unix.NFPROTO_NETDEV && tableOf(m.Data[nfgenmsgLen:]) == g.ruleset.table.Name {
				return true
			}
		}
	}
	return false
}

// tableOf reads the table's name from a message's attributes. Its number is
// that of NFTA_TABLE_NAME in a table's message and of NFTA_CHAIN_TABLE in a
// chain's, which are the same.
func tableOf(attributes []byte) string {
	d, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return ""
	}
	for d.Next() {
		if d.Type() == unix.NFTA_TABLE_NAME {
			return d.String()
		}
	}
	return ""
}

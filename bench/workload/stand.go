package workload

import (
	"context"
	"errors"
	"net/netip"

	"lvsnat/bench/responder"
	"lvsnat/bench/testbed"
	"lvsnat/test/lab"
)

// everybody is the prefix of all addresses.
const everybody = "0.0.0.0/0"

// standIn has a responder answer for a million hosts on a NIC whose other end
// is in far, and the kernel drop what matches. The returned function ends both.
func standIn(ctx context.Context, host *lab.Host, nic, far, match string) (*responder.Responder, func(context.Context) error, error) {
	open, err := testbed.Drop(ctx, host, match, nic)
	if err != nil {
		return nil, nil, err
	}
	var r *responder.Responder
	err = host.Do(func() (err error) {
		r, err = responder.Start(nic, netip.MustParsePrefix(far))
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, open(ctx))
	}
	return r, func(ctx context.Context) error { return errors.Join(r.Close(), open(ctx)) }, nil
}

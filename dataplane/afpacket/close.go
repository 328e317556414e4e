package afpacket

import (
	"errors"
	"sync"
)

// closedAtOnce is how many sockets are closed at a time, each by a thread.
const closedAtOnce = 64

// closeEach closes all of a list, many at a time. Whoever closes a packet socket
// waits until no processor handles a frame for it (synchronize_net in
// packet_release and packet_set_ring, net/packet/af_packet.c): some 10 ms
// each, in which nothing is done. Those who wait together wait no longer than
// one.
func closeEach[T any](list []T, close func(T) error) error {
	errs := make([]error, len(list))
	places := make(chan struct{}, closedAtOnce)
	var closing sync.WaitGroup
	for i, one := range list {
		places <- struct{}{}
		closing.Go(func() {
			errs[i] = close(one)
			<-places
		})
	}
	closing.Wait()
	return errors.Join(errs...)
}

// CloseSenders closes senders in about the time that one takes. No other
// goroutine may use them any more.
func CloseSenders(senders []*Sender) error { return closeEach(senders, (*Sender).Close) }

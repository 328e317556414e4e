package afpacket

import (
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestErrorsSayWhatFailedAndWhatToDo(t *testing.T) {
	c := newCable(t)
	tests := []struct {
		name string
		open func() error
		want []string
	}{
		{"no such NIC to receive from", func() error {
			_, err := OpenFanout("nosuch0", Placement{Workers: 1}, Options{})
			return err
		}, []string{"receive ring on nosuch0", "no such network interface"}},
		{"no such NIC to send to", func() error {
			_, err := OpenSender("nosuch0", Options{})
			return err
		}, []string{"transmit ring on nosuch0", "no such network interface"}},
		{"no workers", func() error {
			_, err := OpenFanout(c.far.nic, Placement{}, Options{})
			return err
		}, []string{"receive ring on far0", "0 workers"}},
		{"more workers than the kernel takes", func() error {
			_, err := OpenFanout(c.far.nic, Placement{Workers: 257}, Options{})
			return err
		}, []string{"receive ring on far0", "257 workers", "256"}},
		{"impossible number of slots", func() error {
			_, err := OpenFanout(c.far.nic, Placement{Workers: 1}, Options{Slots: 1000})
			return err
		}, []string{"1000 slots", "power of two"}},
		{"impossible size of slots", func() error {
			_, err := OpenSender(c.far.nic, Options{SlotSize: 128})
			return err
		}, []string{"128 bytes", "power of two"}},
		{"ring smaller than a page", func() error {
			_, err := OpenSender(c.far.nic, Options{Slots: 2, SlotSize: 512})
			return err
		}, []string{"whole pages"}},
		{"a tunnel without Ethernet headers", func() error {
			if err := addTunnel(); err != nil {
				return err
			}
			_, err := OpenFanout("tun0", Placement{Workers: 1}, Options{})
			return err
		}, []string{"receive ring on tun0", "not an Ethernet interface"}},
		{"missing capability", func() error {
			if err := keepCapabilities(0); err != nil {
				return err
			}
			_, err := OpenSender(c.far.nic, Options{})
			return err
		}, []string{"transmit ring on far0", "operation not permitted", "CAP_NET_RAW"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			c.far.in(t, func() { err = tt.open() })
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
		})
	}
}

// addTunnel makes a TUN interface.
func addTunnel() error {
	return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN})
}

// keepCapabilities takes all capabilities but those of a set from the calling
// thread, which must not be used for anything else.
func keepCapabilities(set uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: set, Permitted: set}}
	return unix.Capset(&header, &data[0])
}

func TestRingsNeedNoMoreThanCapNetRaw(t *testing.T) {
	c := newCable(t)
	var f *Fanout
	var s *Sender
	c.far.in(t, func() {
		must(0, keepCapabilities(1<<unix.CAP_NET_RAW))
		f = must(OpenFanout(c.far.nic, Placement{Workers: 2}, Options{}))
		s = must(OpenSender(c.far.nic, Options{}))
	})
	must(0, f.Close())
	must(0, s.Close())
}

// What a director opens and closes again must not stay behind.
func TestClosingFreesAllDescriptors(t *testing.T) {
	c := newCable(t)
	before := descriptors(t)
	c.far.in(t, func() {
		for range 3 {
			f := must(OpenFanout(c.far.nic, Placement{Workers: 2}, Options{}))
			s := must(OpenSender(c.far.nic, Options{}))
			w := must(NewWaiter(f.Receivers()...))
			for range 2 {
				must(0, f.Close())
				must(0, s.Close())
			}
			must(0, w.Close())
		}
		must(0, addTunnel())
		if _, err := OpenFanout("tun0", Placement{Workers: 2}, Options{}); err == nil {
			panic("opened on a tunnel")
		}
		if _, err := OpenSender("tun0", Options{}); err == nil {
			panic("opened on a tunnel")
		}
	})
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

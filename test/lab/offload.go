package lab

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Offloads says which offloads of a NIC are on. A veth has all of them on
// when it is made.
type Offloads struct {
	Checksum     bool // tx-checksumming: packets leave with a checksum that is only begun
	Segmentation bool // tso and gso: packets of up to 64 KB leave unsplit
	GRO          bool // received segments are merged
}

// SetOffloads sets the offloads of a NIC. Without Checksum the kernel does not
// segment either, whatever Segmentation says.
func (h *Host) SetOffloads(nic string, o Offloads) error {
	features := []feature{
		{"tx-checksum-ip-generic", o.Checksum},
		{"tx-tcp-segmentation", o.Segmentation},
		{"tx-tcp-ecn-segmentation", o.Segmentation},
		{"tx-tcp-mangleid-segmentation", o.Segmentation},
		{"tx-udp-segmentation", o.Segmentation},
		{"tx-generic-segmentation", o.Segmentation},
		{"rx-gro", o.GRO},
	}
	link, err := h.link(nic)
	if err != nil {
		return err
	}
	family, err := h.links.GenlFamilyGet("ethtool")
	if err != nil {
		return fmt.Errorf("%s: generic netlink family ethtool: %w", h.Name, err)
	}
	request := featuresSet(family.ID, link.Attrs().Index, features)
	err = h.Do(func() error {
		_, err := request.Execute(unix.NETLINK_GENERIC, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: set offloads %+v of %s: %w", h.Name, o, nic, err)
	}
	return nil
}

type feature struct {
	name string
	on   bool
}

// featuresSet is the message ETHTOOL_MSG_FEATURES_SET of
// Documentation/networking/ethtool-netlink.rst. A bit that is listed is in the
// bitset's mask; its value is a flag attribute, there or not.
func featuresSet(family uint16, index int, features []feature) *nl.NetlinkRequest {
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_INDEX, nl.Uint32Attr(uint32(index)))
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
	bits := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil)
	for _, f := range features {
		bit := bits.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(f.name))
		if f.on {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
	}
	request := nl.NewNetlinkRequest(int(family), unix.NLM_F_ACK)
	request.AddData(&nl.Genlmsg{Command: unix.ETHTOOL_MSG_FEATURES_SET, Version: unix.ETHTOOL_GENL_VERSION})
	request.AddData(header)
	request.AddData(wanted)
	return request
}

package afpacket

import "testing"

func TestDefaultSlotsHoldAFrameOfTheMTU(t *testing.T) {
	for mtu, want := range map[int]int{
		68: 4096, 1500: 4096, 3900: 4096, 4000: 8192, 9000: 16384, 16000: 16384, 65535: 65536, 1 << 20: 65536,
	} {
		o, err := Options{}.complete(64, mtu)
		if err != nil || o.SlotSize != want || o.Slots != 64 {
			t.Errorf("MTU %d: %+v, %v; want 64 slots of %d", mtu, o, err, want)
		}
	}
}

func TestImpossibleDimensionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"one slot":                   {Slots: 1},
		"negative number of slots":   {Slots: -8},
		"slots not a power of two":   {Slots: 1000},
		"too many slots":             {Slots: 1 << 17},
		"slot shorter than headers":  {SlotSize: 256},
		"negative size":              {SlotSize: -4096},
		"size not a power of two":    {SlotSize: 3000},
		"slot longer than the limit": {SlotSize: 1 << 17},
		"less than a page":           {Slots: 4, SlotSize: 512},
	} {
		if o, err := o.complete(64, 1500); err == nil {
			t.Errorf("%s: %+v is accepted", name, o)
		}
	}
}

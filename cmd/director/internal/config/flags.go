package config

import "lvsnat/scheduler"

// flags are the names that `ipvsadm -b` has for scheduler.Flags, in the order
// in which it lists them. IPVS knows them as bits, which have names of their own
// (IP_VS_SVC_F_SCHED_* in uapi/linux/ip_vs.h).
var flags = []struct {
	name      string
	scheduler string // the one that knows the flag
	bit       string
	field     func(*scheduler.Flags) *bool
}{
	{"sh-fallback", "sh", "flag-1", func(f *scheduler.Flags) *bool { return &f.SHFallback }},
	{"sh-port", "sh", "flag-2", func(f *scheduler.Flags) *bool { return &f.SHPort }},
	{"mh-fallback", "mh", "flag-1", func(f *scheduler.Flags) *bool { return &f.MHFallback }},
	{"mh-port", "mh", "flag-2", func(f *scheduler.Flags) *bool { return &f.MHPort }},
}

var flagNames = func() []string {
	var names []string
	for _, flag := range flags {
		names = append(names, flag.name)
	}
	return names
}()

// FlagNames lists the flags that are set.
func FlagNames(f scheduler.Flags) []string {
	var names []string
	for _, flag := range flags {
		if *flag.field(&f) {
			names = append(names, flag.name)
		}
	}
	return names
}

// SetFlag sets the flag of that name and returns the scheduler that knows it,
// or nothing when there is no such flag.
func SetFlag(f *scheduler.Flags, name string) (scheduler string) {
	for _, flag := range flags {
		if flag.name == name {
			*flag.field(f) = true
			return flag.scheduler
		}
	}
	return ""
}

// NumberedFlag returns the name that a scheduler has for the bit flag-1, flag-2
// or flag-3, or nothing when the bit changes nothing.
func NumberedFlag(scheduler, bit string) string {
	for _, flag := range flags {
		if flag.scheduler == scheduler && flag.bit == bit {
			return flag.name
		}
	}
	return ""
}

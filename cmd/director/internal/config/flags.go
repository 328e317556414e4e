package config

import "lvsnat/scheduler"

// flags are the names that `ipvsadm -b` has for scheduler.Flags, in the order
// in which it lists them.
var flags = []struct {
	name      string
	scheduler string // the one that knows the flag
	field     func(*scheduler.Flags) *bool
}{
	{"sh-fallback", "sh", func(f *scheduler.Flags) *bool { return &f.SHFallback }},
	{"sh-port", "sh", func(f *scheduler.Flags) *bool { return &f.SHPort }},
	{"mh-fallback", "mh", func(f *scheduler.Flags) *bool { return &f.MHFallback }},
	{"mh-port", "mh", func(f *scheduler.Flags) *bool { return &f.MHPort }},
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

// Package buildinfo says what this program was built from.
package buildinfo

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// Info is what a program was built from.
type Info struct {
	Version   string `json:"version"`  // the release, a module version, or (devel)
	Revision  string `json:"revision"` // of the source, with "-dirty" when it had changes; "unknown" when the build did not record it
	GoVersion string `json:"go_version"`
}

// Read reads what the Go tool-chain left in the program. A version that is not
// empty, which the linker has set in package main, goes before the module's.
func Read(version string) Info {
	info := Info{Version: version, Revision: "unknown", GoVersion: runtime.Version()}
	if build, ok := debug.ReadBuildInfo(); ok {
		info.Version = cmp.Or(version, build.Main.Version)
		info.Revision = revision(build.Settings)
	}
	info.Version = cmp.Or(info.Version, "(devel)")
	return info
}

func revision(settings []debug.BuildSetting) string {
	name, suffix := "unknown", ""
	for _, setting := range settings {
		switch {
		case setting.Key == "vcs.revision":
			name = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			suffix = "-dirty"
		}
	}
	return name + suffix
}

package genosrtc

import "runtime/debug"

const module = "github.com/genosrtc/caddy-genosrtc"

// version is that of this module in the running program, empty if unknown.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}

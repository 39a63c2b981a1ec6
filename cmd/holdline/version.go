package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the build (-ldflags "-X main.version=1.2.3").
var version = ""

type versionCmd struct{}

// Run prints the version, the commit it was built from where that is known, and Go's.
func (versionCmd) Run(c *console) error {
	_, err := fmt.Fprintf(c.out, "holdline %s (%s)\n", versionText(), runtime.Version())
	return err
}

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	text := "dev"
	if v := info.Main.Version; v != "" && v != "(devel)" {
		text = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && text == "dev" {
			text = "dev-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return text
}

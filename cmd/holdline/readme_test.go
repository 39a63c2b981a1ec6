package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// The README's table of settings is made from what --help is made from.
func TestReadmeTellsTheSettings(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(&cli{}, &console{})
	if err != nil {
		t.Fatal(err)
	}
	want := settingsTable(serveSettings(t, parser))
	_, rest, found := strings.Cut(string(readme), "<!-- settings: kept equal to --help by a test -->\n")
	got, _, ended := strings.Cut(rest, "<!-- /settings -->")
	if !found || !ended {
		t.Fatal("the README has no table of settings")
	}
	if got != want {
		t.Errorf("the README's table of settings is not that of --help; this is:\n%s", want)
	}
}

func settingsTable(flags []*kong.Flag) string {
	var b strings.Builder
	b.WriteString("| flag | default | limits | what it does |\n|---|---|---|---|\n")
	for _, flag := range flags {
		value := flag.Default
		switch {
		case flag.IsBool():
			value = "off"
		case value == "":
			value = "none"
		}
		limits := limitText(flag.Tag)
		if flag.Enum != "" {
			limits = strings.ReplaceAll(flag.Enum, ",", ", ")
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s | %s |\n", flag.Name, value, limits, flag.Help)
	}
	return b.String()
}

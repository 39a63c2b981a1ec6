package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parsed runs the parser as main does, without running the command.
func parsed(t *testing.T, args ...string) (*cli, error) {
	t.Helper()
	grammar := &cli{}
	parser, err := newParser(grammar, &console{in: os.Stdin, out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parse(parser, args)
	return grammar, err
}

func configFileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdline.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheCloserSourceWins(t *testing.T) {
	file := configFileWith(t, "sweep = \"3s\"\nheartbeat = \"3s\"\nmax-queued = 3\ntrusted-proxies = [\"10.0.0.0/8\", \"::1\"]\naccess-log = true\n")
	t.Setenv("HOLDLINE_SWEEP", "2s")
	t.Setenv("HOLDLINE_HEARTBEAT", "2s")
	got, err := parsed(t, "serve", "--config", file, "--sweep=1500ms")
	if err != nil {
		t.Fatal(err)
	}
	s := got.Serve
	if s.Sweep != 1500*time.Millisecond || s.Heartbeat != 2*time.Second || s.MaxQueued != 3 || s.WriteTimeout != 20*time.Second || !s.AccessLog {
		t.Errorf("sweep %v, heartbeat %v, max-queued %d, write-timeout %v, access-log %v", s.Sweep, s.Heartbeat, s.MaxQueued, s.WriteTimeout, s.AccessLog)
	}
	if len(s.TrustedProxies) != 2 || s.TrustedProxies[0].String() != "10.0.0.0/8" || s.TrustedProxies[1].String() != "::1/128" {
		t.Errorf("trusted proxies %v", s.TrustedProxies)
	}
}

func TestTheFileCanBeNamedByTheEnvironment(t *testing.T) {
	t.Setenv("HOLDLINE_CONFIG", configFileWith(t, `listen = "127.0.0.1:1234"`))
	got, err := parsed(t, "serve")
	if err != nil || got.Serve.Listen != "127.0.0.1:1234" {
		t.Errorf("listen %q, %v", got.Serve.Listen, err)
	}
}

func TestOneFileServesAllCommands(t *testing.T) {
	file := configFileWith(t, "listen = \"127.0.0.1:1234\"\ndatabase = \"sqlite:there.db\"\n")
	got, err := parsed(t, "migrate", "--config", file)
	if err != nil || got.Migrate.Database != "sqlite:there.db" {
		t.Errorf("database %q, %v", got.Migrate.Database, err)
	}
}

// Every refusal names what is wrong.
func TestWrongSettingsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		env    [2]string
		file   string
		naming []string
	}{
		"unknown command":          {args: []string{"server"}, naming: []string{"server"}},
		"unknown flag":             {args: []string{"serve", "--listn=x"}, naming: []string{"--listn"}},
		"flag of another command":  {args: []string{"migrate", "--listen=x"}, naming: []string{"--listen"}},
		"argument too many":        {args: []string{"serve", "extra"}, naming: []string{"extra"}},
		"not a duration":           {args: []string{"serve", "--sweep=soon"}, naming: []string{"--sweep", "soon"}},
		"too small":                {args: []string{"serve", "--sweep=1ms"}, naming: []string{"--sweep", "1ms", "from 10ms to 1m"}},
		"too large":                {args: []string{"serve", "--body-limit=1GiB"}, naming: []string{"--body-limit", "1GiB", "from 128KiB to 16MiB"}},
		"not a size":               {args: []string{"serve", "--body-limit=large"}, naming: []string{"--body-limit", "large", "KiB"}},
		"not a number":             {args: []string{"serve", "--max-queued=many"}, naming: []string{"--max-queued", "many"}},
		"a size below its limit":   {args: []string{"serve", "--sqlite-max-size=4KiB"}, naming: []string{"--sqlite-max-size", "0 or from 1MiB"}},
		"not one of the words":     {args: []string{"serve", "--signup=invite"}, naming: []string{"--signup", "invite", "open"}},
		"not a range":              {args: []string{"serve", "--trusted-proxies=proxy"}, naming: []string{"--trusted-proxies", "proxy", "10.0.0.0/8"}},
		"unknown kind of database": {args: []string{"serve", "--database=mysql://x"}, naming: []string{"--database", "sqlite:PATH"}},
		"a file without its kind":  {args: []string{"serve", "--database=holdline.db"}, naming: []string{"--database", "sqlite:PATH"}},
		"memory":                   {args: []string{"serve", "--database=sqlite::memory:"}, naming: []string{"--database", "file"}},
		"a URL with a bare %":      {args: []string{"user", "list", "--database=postgres://u:secret%@h/d"}, naming: []string{"--database", "%40"}},
		"unknown variable":         {env: [2]string{"HOLDLINE_LISTN", "x"}, naming: []string{"HOLDLINE_LISTN", "--help"}},
		"variable of a plain flag": {env: [2]string{"HOLDLINE_OWNER", "true"}, naming: []string{"HOLDLINE_OWNER"}},
		"wrong variable":           {env: [2]string{"HOLDLINE_SWEEP", "soon"}, naming: []string{"HOLDLINE_SWEEP", "soon"}},
		"variable out of limits":   {env: [2]string{"HOLDLINE_SWEEP", "1h"}, naming: []string{"HOLDLINE_SWEEP", "1h0m0s", "to 1m"}},
		"unknown key":              {file: "listn = \"x\"\n", naming: []string{`"listn"`, "--help"}},
		"key of a plain flag":      {file: "owner = true\n", naming: []string{`"owner"`}},
		"key in another case":      {file: "Listen = \"x\"\n", naming: []string{`"Listen"`}},
		"a table":                  {file: "[serve]\nlisten = \"x\"\n", naming: []string{`"serve"`}},
		"wrong key":                {file: "sweep = \"soon\"\n", naming: []string{"sweep", "soon"}},
		"key out of limits":        {file: "sweep = \"1h\"\n", naming: []string{"sweep", "configuration file", "to 1m"}},
		"key of another type":      {file: "sweep = {a = 1}\n", naming: []string{"sweep"}},
		"not TOML":                 {file: "listen: x\n", naming: []string{"TOML", "line 1"}},
		"no such file":             {args: []string{"serve", "--config=/no/such/file"}, naming: []string{"/no/such/file"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if args == nil {
				args = []string{"serve"}
			}
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			if c.file != "" {
				args = append(args, "--config", configFileWith(t, c.file))
			}
			_, err := parsed(t, args...)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, word := range c.naming {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not hold %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q tells the password", err)
			}
		})
	}
}

func TestVariablesOfTheTestsAreLeftAlone(t *testing.T) {
	t.Setenv("HOLDLINE_TEST_POSTGRES", "postgres://x/y")
	if _, err := parsed(t, "serve"); err != nil {
		t.Error(err)
	}
}

// Every setting is explained, with its default, its limits and its variable.
func TestHelpExplainsEverySetting(t *testing.T) {
	var out bytes.Buffer
	if status := run([]string{"serve", "--help"}, &console{in: os.Stdin, out: &out, err: &out}); status != 0 {
		t.Fatalf("status %d", status)
	}
	help := strings.Join(strings.Fields(out.String()), " ")
	parser, err := newParser(&cli{}, &console{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range serveSettings(t, parser) {
		if len(flag.Help) < 20 {
			t.Errorf("--%s is not explained", flag.Name)
		}
		for _, part := range []string{"--" + flag.Name, flag.Default, limitText(flag.Tag), "($" + flag.Envs[0] + ")"} {
			if !strings.Contains(strings.ToLower(help), strings.ToLower(part)) {
				t.Errorf("--%s: the help does not tell %q", flag.Name, part)
			}
		}
	}
}

// serveSettings are the settings of serve, in the order of its help.
func serveSettings(t *testing.T, parser *kong.Kong) []*kong.Flag {
	t.Helper()
	i := slices.IndexFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == "serve" })
	var all []*kong.Flag
	for _, flag := range parser.Model.Children[i].Flags {
		if isSetting(flag) {
			all = append(all, flag)
		}
	}
	slices.SortStableFunc(all, func(a, b *kong.Flag) int { return groupIndex(a) - groupIndex(b) })
	if len(all) < 20 {
		t.Fatalf("only %d settings found", len(all))
	}
	return all
}

func groupIndex(flag *kong.Flag) int {
	return slices.IndexFunc(groups, func(g kong.Group) bool { return flag.Group != nil && g.Key == flag.Group.Key })
}

package together

import (
	"regexp"
	"strconv"
	"strings"

	"holdline/internal/harness"
)

var terminalLine = regexp.MustCompile(`^#(\d+) \S+ (\w+): (.*)$`)

// terminal is holdline chat in a pipe, and its process.
func (g *group) terminal(handle string) (client, *harness.Child) {
	p := harness.StartChild(g.t, []string{"XDG_CONFIG_HOME=" + g.t.TempDir(), "HOLDLINE_PASSWORD=" + harness.Password, "HOLDLINE_SERVER=" + g.server.URL},
		harness.Plain(g.t), "chat", "--plain", handle)
	if err := p.Write("/open " + title); err != nil {
		g.t.Fatal(err)
	}
	harness.Eventually(g.t, "the terminal shows the group", func() bool { return count(p, "* In "+title) > 0 })
	return client{handle, func(text string) error { return p.Write(text) }, func() ([]said, error) {
		return shown(p, func(line string) (said, bool) {
			m := terminalLine.FindStringSubmatch(line)
			if m == nil {
				return said{}, false
			}
			// What comes behind one's own text tells how far it has got.
			text := strings.TrimSuffix(strings.TrimSuffix(m[3], " (read)"), " (delivered)")
			seq, err := strconv.ParseInt(m[1], 10, 64)
			return said{seq, m[2], text}, err == nil
		})
	}}, p
}

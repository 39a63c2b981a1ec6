package torture

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"holdline/internal/torture/history"
)

// parseLine reads an event from a line of text: five fields with a tab between
// them, in an inbox behind the conversation's id.
func parseLine(line string, inbox bool) (e history.Event, err error) {
	fields := strings.Split(line, "\t")
	if inbox {
		e.Conversation = fields[0]
		fields = fields[1:]
	}
	if len(fields) != 5 {
		return e, fmt.Errorf("a line of %d fields: %q", len(fields), line)
	}
	for i, f := range fields {
		if f == "-" {
			fields[i] = ""
		} else if fields[i], err = unescape(f); err != nil {
			return e, fmt.Errorf("%w in the line %q", err, line)
		}
	}
	if e.Seq, err = strconv.ParseInt(fields[0], 10, 64); err != nil {
		return e, fmt.Errorf("no seq in the line %q", line)
	}
	e.AcceptedAt, e.Type, e.Sender = fields[1], fields[2], fields[3]
	switch e.Type {
	case "message":
		e.Text = history.Digest(fields[4])
	case "member":
		e.Action, e.User, _ = strings.Cut(fields[4], " ")
	default:
		e.Title = fields[4]
	}
	return e, nil
}

// unescape reads what the server writes for characters that could disturb a line.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		if rest == "" {
			return "", fmt.Errorf("a lone backslash")
		}
		kind, size := rest[0], 1
		switch kind {
		case '\\':
			b.WriteByte('\\')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			size = 5
			if len(rest) < size {
				return "", fmt.Errorf("a \\u that is cut off")
			}
			n, err := strconv.ParseUint(rest[1:size], 16, 16)
			if err != nil {
				return "", fmt.Errorf("a broken \\u")
			}
			b.Write(utf8.AppendRune(nil, rune(n)))
		default:
			return "", fmt.Errorf("an unknown escape \\%c", kind)
		}
		s = rest[size:]
	}
	return b.String(), nil
}

// parseLines reads the lines of a finite answer.
func parseLines(body string, inbox bool) (events []history.Event, err error) {
	for line := range strings.Lines(body) {
		text, whole := strings.CutSuffix(line, "\n")
		if !whole {
			return nil, fmt.Errorf("the last line has no end: %q", line)
		}
		if strings.HasPrefix(text, "#") {
			continue
		}
		e, err := parseLine(text, inbox)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// line takes one line of a stream; more says whether it may go on.
func (c *chain) line(line string, inbox bool) (more bool, err error) {
	if line == "" {
		return true, nil // a heartbeat
	}
	if comment, ok := strings.CutPrefix(line, "# "); ok {
		if code, _, ok := strings.Cut(comment, ":"); ok && lastingEnds[code] {
			c.end(code)
			return false, nil
		}
		return true, nil
	}
	e, err := parseLine(line, inbox)
	if err != nil {
		c.rec.problem("%v: %v", c, err)
		return false, errRetry
	}
	c.event(e)
	return true, nil
}

// textPage makes one long-poll of a conversation as lines of text.
func (c *chain) textPage(ctx context.Context, leg Leg, node int) error {
	query := pageQuery(leg)
	query.Set("after", c.ask(c.device.lines[node].node.name, leg.Bare))
	a, err := c.page(ctx, leg, node, "/v1/conversations/"+c.conversation+"/events?"+query.Encode(), "text/plain")
	if a == nil {
		return err
	}
	events, err := parseLines(string(a.body), false)
	if err != nil {
		c.rec.problem("%v: %v", c, err)
		return errRetry
	}
	for _, e := range events {
		c.event(e)
	}
	c.reach(a.header.Get("Holdline-Cursor"))
	return nil
}

// textStream reads a conversation as a stream of lines. Each line's seq is a
// place to go on from.
func (c *chain) textStream(ctx context.Context, leg Leg, node int) error {
	path := "/v1/conversations/" + c.conversation + "/stream?after=" + url.QueryEscape(c.ask(c.device.lines[node].node.name, true))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.open(ctx, cancel, leg, node, path, "text/plain", "")
	if body == nil {
		return err
	}
	defer body.close()
	in := bufio.NewReader(body)
	for {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		more, err := c.line(line, false)
		if !more || err != nil {
			return err
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			seq, _, _ := strings.Cut(line, "\t")
			c.reach(seq)
		}
	}
}

package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints the report for people.
func (r *Report) WriteTable(out io.Writer) error {
	p := &printer{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	p.machine(r)
	if r.Send != nil {
		p.send(r.Send)
	}
	if r.Receive != nil {
		p.receive(r.Receive)
	}
	if r.Fanout != nil {
		p.fanout(r.Fanout)
	}
	if r.Idle != nil {
		p.idle(r.Idle)
	}
	p.inboxes(r)
	p.bars(r.Bars)
	if p.err != nil {
		return p.err
	}
	return p.w.Flush()
}

// printer writes rows of cells and keeps the first error.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (p *printer) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	p.line(strings.Join(texts, "\t"))
}

// line ends a row, or writes a heading, which has no cells and so does not
// widen the columns.
func (p *printer) line(text string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, text)
	}
}

func (p *printer) head(format string, args ...any) {
	p.line("")
	p.line(fmt.Sprintf(format, args...))
}

func (p *printer) machine(r *Report) {
	m, d := r.Machine, r.Database
	p.line(fmt.Sprintf("%s, %d cores, %d MiB, %s, kernel %s, %s", m.CPU, m.Cores, m.MemoryMiB, m.OS, m.Kernel, m.Go))
	p.line(fmt.Sprintf("%s %s at %s", d.Kind, d.Version, d.Where))
	if d.Disk != nil {
		p.line(fmt.Sprintf("%s; append of 4 KiB + fsync: p50 %.2f ms", d.Disk.FileSystem, d.Disk.FsyncP50))
	}
	settings := make([]string, len(d.Durability))
	for i, s := range d.Durability {
		settings[i] = s.Name + "=" + s.Value
	}
	p.line(strings.Join(settings, " "))
}

func (p *printer) send(s *SendResult) {
	p.head("send: %d connections over %d conversations, durable; %d messages stored", s.Connections, s.Conversations, s.Stored)
	p.row("round", "side", "per second", "p50 ms", "p99 ms", "max ms", "server CPU µs", "client CPU µs", "ratio")
	for i, r := range s.Rounds {
		p.row(i+1, "bare", rateCells(r.Bare), "")
		p.row(i+1, "holdline", rateCells(r.Holdline), fmt.Sprintf("%.2f", r.Ratio))
	}
	p.row("median", "holdline", fmt.Sprintf("%.0f", s.PerSecond), "", "", "", "", "", fmt.Sprintf("%.2f", s.Ratio))
}

func rateCells(r Rate) string {
	return fmt.Sprintf("%.0f\t%s\t%.0f\t%.0f", r.PerSecond, latencyCells(r.Latency), r.ServerCPU, r.ClientCPU)
}

func latencyCells(l Latency) string { return fmt.Sprintf("%.2f\t%.2f\t%.2f", l.P50, l.P99, l.Max) }

func (p *printer) receive(r *ReceiveResult) {
	p.head("receive: %.0f messages/s over %d conversations, one waiting SSE reader each", r.PerSecond, r.Conversations)
	p.row("round", "what", "p50 ms", "p99 ms", "max ms")
	for i, r := range r.Rounds {
		p.row(i+1, "from 201 to frame", latencyCells(r.Delivery), fmt.Sprintf("(%.0f %% before the 201)", 100*r.BeforeAcceptance))
		p.row(i+1, "from request to 201", latencyCells(r.Send), fmt.Sprintf("(%.0f/s reached)", r.PerSecond))
		p.row(i+1, "behind schedule", latencyCells(r.Late), "")
	}
	p.row("median", "from 201 to frame", "", fmt.Sprintf("%.2f", r.P99), "")
}

func (p *printer) fanout(f *FanoutResult) {
	p.head("fanout: one conversation to %d SSE readers, %d messages of %d bytes a side, one at a time", f.Readers, f.Messages, f.FrameBytes)
	p.row("round", "side", "first to last p50 ms", "p99 ms", "max ms", "from request p50 ms", "answer p50 ms", "server CPU µs", "client CPU µs", "ratio")
	for i, r := range f.Rounds {
		p.row(i+1, "bare", fanCells(r.Bare), "")
		p.row(i+1, "holdline", fanCells(r.Holdline), fmt.Sprintf("%.2f", r.Ratio))
	}
	p.row("median", "holdline", "", "", "", "", "", "", "", fmt.Sprintf("%.2f", f.Ratio))
}

func fanCells(f Fan) string {
	return fmt.Sprintf("%s\t%.2f\t%.2f\t%.1f\t%.1f", latencyCells(f.Spread), f.Whole.P50, f.Answered.P50, f.ServerCPU, f.ClientCPU)
}

func (p *printer) idle(i *IdleResult) {
	p.head("idle: %d SSE readers over %d conversations, held for %.0f s", i.Readers, i.Conversations, i.HoldSeconds)
	p.row("resident before", fmt.Sprintf("%d KiB", i.BeforeKiB))
	p.row("all connected", fmt.Sprintf("%d KiB", i.ConnectedKiB))
	p.row("after the hold", fmt.Sprintf("%d KiB", i.HeldKiB))
	p.row("growth per reader", fmt.Sprintf("%.1f KiB", i.PerReader))
	p.row("server CPU meanwhile", fmt.Sprintf("%.1f ms/s", i.CPUMillis))
	p.row("had a heartbeat", fmt.Sprintf("%d", i.Heartbeats))
}

func (p *printer) bars(bars []Bar) {
	if len(bars) == 0 {
		return
	}
	p.head("bars")
	for _, b := range bars {
		direction, verdict := "at most", "met"
		if b.AtLeast {
			direction = "at least"
		}
		if !b.Met {
			verdict = "MISSED"
		}
		p.row(b.Name, strings.TrimSpace(fmt.Sprintf("%.2f %s", b.Value, b.Unit)), fmt.Sprintf("%s %g", direction, b.Bound), verdict)
	}
}

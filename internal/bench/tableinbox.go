package bench

import "fmt"

// inboxes prints what was measured of inboxes and receipts.
func (p *printer) inboxes(r *Report) {
	if r.Inbox != nil {
		p.inbox(r.Inbox)
	}
	if r.CatchUp != nil {
		p.catchUp(r.CatchUp)
	}
	if r.Return != nil {
		p.comingBack(r.Return)
	}
	if r.InboxIdle != nil {
		p.inboxIdle(r.InboxIdle)
	}
	if r.Acks != nil {
		p.acks(r.Acks)
	}
	if r.Horizon != nil {
		p.horizon(r.Horizon)
	}
}

func (p *printer) inbox(r *InboxResult) {
	p.head("inbox: %.0f messages/s over %d of the %d conversations that one SSE reader follows", r.PerSecond, r.Moving, r.Conversations)
	p.row("round", "what", "p50 ms", "p99 ms", "max ms")
	for i, r := range r.Rounds {
		p.row(i+1, "from 201 to the inbox's frame", latencyCells(r.Inbox.Delivery), fmt.Sprintf("(%.0f %% before the 201)", 100*r.Inbox.BeforeAcceptance))
		p.row(i+1, "the same, plain streams", latencyCells(r.Plain.Delivery), fmt.Sprintf("(%.0f %% before the 201)", 100*r.Plain.BeforeAcceptance))
		p.row(i+1, "from request to 201", latencyCells(r.Inbox.Send), fmt.Sprintf("(%.0f/s reached)", r.Inbox.PerSecond))
		p.row(i+1, "behind schedule", latencyCells(r.Inbox.Late), "")
	}
	p.row("median", "from 201 to the inbox's frame", fmt.Sprintf("%.2f", r.P50), fmt.Sprintf("%.2f", r.P99), "")
	p.row("", "cursor", fmt.Sprintf("median %d", r.CursorMedian), fmt.Sprintf("max %d", r.CursorMax), "characters")
}

func (p *printer) catchUp(r *CatchUpResult) {
	p.head("catchup: %d messages in each of those of %d conversations that moved; cold: a server just started, warm: the same cursor again",
		r.Each, r.Conversations)
	p.row("moved", "round", "cold first ms", "all ms", "warm first ms", "all ms", "one conversation ms", "ratio")
	for _, run := range r.Runs {
		for i, r := range run.Rounds {
			p.row(run.Moved, i+1, pagesCells(r.Cold), pagesCells(r.Warm), fmt.Sprintf("%.2f", r.Plain), fmt.Sprintf("%.2f", r.Warm.First/r.Plain))
		}
		p.row(run.Moved, "median", pagesCells(PagesTime{run.ColdFirst, run.ColdAll}), pagesCells(PagesTime{run.WarmFirst, run.WarmAll}), "",
			fmt.Sprintf("%.2f", run.Ratio))
		p.row(run.Moved, "all pages", fmt.Sprintf("%d requests", run.Requests), fmt.Sprintf("%d statements", run.Counts.Statements),
			fmt.Sprintf("in %d reads", run.Counts.Reads), fmt.Sprintf("%d writes", run.Counts.Writes), "")
	}
	p.line(fmt.Sprintf("by itself the server made %d statements in %d reads, and %d writes, in %.1f s",
		r.Background.Statements, r.Background.Reads, r.Background.Writes, r.BackgroundSeconds))
}

func pagesCells(t PagesTime) string { return fmt.Sprintf("%.2f\t%.2f", t.First, t.All) }

func (p *printer) comingBack(r *ReturnResult) {
	p.head("return: %d readers at once, on a server just started; %d messages in each of %d of the %d conversations of each",
		r.Readers, r.Each, r.Moved, r.Conversations)
	p.row("round", "side", "p50 ms", "p99 ms", "last ms", "server CPU µs", "ratio")
	for i, r := range r.Rounds {
		p.row(i+1, "one conversation", latencyCells(r.Plain), "", "")
		p.row(i+1, "inbox", latencyCells(r.Inbox), fmt.Sprintf("%.0f", r.ServerCPU), fmt.Sprintf("%.2f", r.Ratio))
	}
	p.row("median", "inbox", latencyCells(Latency{P50: r.P50, P99: r.P99, Max: r.Last}), "", fmt.Sprintf("%.2f", r.Ratio))
}

func (p *printer) inboxIdle(r *InboxIdleResult) {
	p.head("inboxidle: %d users with %d conversations each, %d in all", r.Plain.Readers, r.Conversations, r.Plain.Conversations)
	p.row("memory of Go", "plain streams", "inbox streams", "inbox polls")
	of := func(what string, cell func(i IdleResult) string) {
		p.row(what, cell(r.Plain), cell(r.Streams), cell(r.Polls))
	}
	of("before", func(i IdleResult) string { return fmt.Sprintf("%d KiB", i.BeforeKiB) })
	of("all connected", func(i IdleResult) string { return fmt.Sprintf("%d KiB", i.ConnectedKiB) })
	of("after the hold", func(i IdleResult) string { return fmt.Sprintf("%d KiB (%.0f s)", i.HeldKiB, i.HoldSeconds) })
	of("garbage collected", func(i IdleResult) string { return fmt.Sprintf("%d KiB (%.1f each)", i.InUseKiB, i.InUsePerReader) })
	of("growth per reader", func(i IdleResult) string { return fmt.Sprintf("%.1f KiB", i.PerReader) })
	of("server CPU meanwhile", func(i IdleResult) string { return fmt.Sprintf("%.1f ms/s", i.CPUMillis) })
	of("had a heartbeat", func(i IdleResult) string { return fmt.Sprint(i.Heartbeats) })
	p.row("above plain", "", fmt.Sprintf("%.1f KiB", r.Above), "")
}

func (p *printer) acks(r *AcksResult) {
	p.head("acks: %.0f/s by %d readers of one conversation, each of every message", r.PerSecond, r.Readers)
	p.row("round", "acks/s", "p50 ms", "p99 ms", "max ms", "writes/s", "rows/s", "transactions/s", "writes/s and reader", "busiest")
	for i, r := range r.Rounds {
		p.row(i+1, fmt.Sprintf("%.0f", r.PerSecond), latencyCells(r.Latency), fmt.Sprintf("%.1f", r.Writes), fmt.Sprintf("%.1f", r.Rows),
			fmt.Sprintf("%.1f", r.Transactions), fmt.Sprintf("%.2f", r.PerReader), fmt.Sprintf("%.2f", r.Busiest))
	}
	p.row("median", "", "", "", "", "", "", "", fmt.Sprintf("%.2f", r.PerReader), "")
}

func (p *printer) horizon(r *HorizonResult) {
	p.head("horizon: the store in this process, under full load")
	p.row("round", "sends/s", "sends a batch", "batch ms", "closing ms/s")
	for i, r := range r.Rounds {
		p.row(i+1, fmt.Sprintf("%.0f", r.PerSecond), fmt.Sprintf("%.1f", r.PerBatch), fmt.Sprintf("%.3f", r.Batch), fmt.Sprintf("%.1f", r.Closing))
	}
	p.row("median", "", "", fmt.Sprintf("%.3f", r.Batch), "")
	p.line(fmt.Sprintf("the horizon's part of a batch: %.3f ms (%.3f with, %.3f without), a share of %.3f", r.Part, r.With, r.Without, r.Share))
}

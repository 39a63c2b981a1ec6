package check

import (
	"fmt"
	"time"

	"holdline/internal/torture/history"
)

// Promise is the name of a rule.
type Promise string

// The promises. What is said of messages holds for all entries of a log that an
// operation of the history made.
const (
	// Durable: what was answered 2xx is in the log, at the seq and with the
	// content and time of the answer.
	Durable Promise = "durable"
	// Once: a send is in the log at most once, and all answers to one client_id
	// name the same seq.
	Once Promise = "once"
	// RefusedIsNotStored: what was certainly refused is not in the log.
	RefusedIsNotStored Promise = "refused-is-not-stored"
	// NothingInvented: the log holds only what somebody asked for.
	NothingInvented Promise = "nothing-invented"
	// Gapless: a log counts 1, 2, 3 … and begins with created.
	Gapless Promise = "gapless"
	// TimeNeverFalls: accepted_at never falls along a log.
	TimeNeverFalls Promise = "time-never-falls"
	// Membership: the list of members, and who is shown a conversation, are as
	// the log says.
	Membership Promise = "membership"

	// SeenWhole: along a chain of cursors nothing is left out, up to the end if
	// the chain was followed to the end.
	SeenWhole Promise = "seen-whole"
	// SeenOnce: nothing comes twice along a chain of cursors.
	SeenOnce Promise = "seen-once"
	// SeenInOrder: what comes is in the order of the log.
	SeenInOrder Promise = "seen-in-order"
	// SeenAsStored: what comes is what the log holds.
	SeenAsStored Promise = "seen-as-stored"
	// SeenByMembers: nobody sees what came before their joining or after their
	// removal, and hidden stands for nothing else.
	SeenByMembers Promise = "seen-by-members"
	// SeenAfterSent: nothing is seen before its send began.
	SeenAfterSent Promise = "seen-after-sent"
	// NoFalseReset: a cursor of this epoch is never reset, nor called invalid.
	NoFalseReset Promise = "no-false-reset"
	// NoFalseEnd: a chain of somebody who stayed a member is not ended as if
	// they were none.
	NoFalseEnd Promise = "no-false-end"

	// RealTimeOrder: what was answered before another send began has the lower seq.
	RealTimeOrder Promise = "real-time-order"
	// FreshReads: a read shows all that was answered, or shown to anybody, before it began.
	FreshReads Promise = "fresh-reads"
	// NoReadsAhead: a read shows nothing that was begun after its end.
	NoReadsAhead Promise = "no-reads-ahead"
	// Linearizable: sends and fresh reads of a conversation behave as if one
	// came after the other (Porcupine).
	Linearizable Promise = "linearizable"

	// ReceiptsForward: a receipt never goes back along a chain, and read implies delivered.
	ReceiptsForward Promise = "receipts-forward"
	// ReceiptsWithinLog: a receipt is never beyond the log's head.
	ReceiptsWithinLog Promise = "receipts-within-log"
	// ReceiptsAfterFact: a receipt is never seen before the ack or the cursor
	// handed back that caused it, nor further than that.
	ReceiptsAfterFact Promise = "receipts-after-fact"
	// ReceiptsWhole: after a chain was followed to its end it has the final
	// receipts, and an ack that was answered is not forgotten.
	ReceiptsWhole Promise = "receipts-whole"
	// Unread: unread counts others' messages above the read watermark.
	Unread Promise = "unread"

	// WellRecorded is no promise of the server: the history itself contradicts
	// itself, so no verdict can be made from it.
	WellRecorded Promise = "well-recorded"
)

// Violation is a broken promise.
type Violation struct {
	Promise      Promise `json:"promise"`
	Conversation string  `json:"conversation,omitempty"`
	// Client names the client that saw it, empty if none did.
	Client string `json:"client,omitempty"`
	// Text is the evidence.
	Text string `json:"text"`
}

func (v Violation) String() string {
	s := string(v.Promise) + ": "
	if v.Conversation != "" {
		s += "conversation " + v.Conversation + ": "
	}
	if v.Client != "" {
		s += v.Client + ": "
	}
	return s + v.Text
}

// Undecided is a conversation whose linearizability could not be decided in time.
type Undecided struct {
	Conversation string `json:"conversation"`
	Text         string `json:"text"`
}

// Counts says how much there was to check.
type Counts struct {
	Sends    int `json:"sends"`    // messages sent, repeats not counted
	Accepted int `json:"accepted"` // of them with a 2xx
	Refused  int `json:"refused"`  // of them refused for certain
	// UnknownStored and UnknownLost are the sends without a certain answer.
	UnknownStored int `json:"unknown_stored"`
	UnknownLost   int `json:"unknown_lost"`
	Logged        int `json:"logged"`   // entries of all logs
	Readers       int `json:"readers"`  // chains of cursors
	Complete      int `json:"complete"` // of them followed to the end
	Events        int `json:"events"`   // seen by them, repeats included
	Receipts      int `json:"receipts"` // the same
	Reads         int `json:"reads"`    // fresh reads: State and Head
	Linearized    int `json:"linearized"`
}

// Report is a verdict.
type Report struct {
	// Violations holds at most Options.Most for each promise, Totals how many
	// there were.
	Violations []Violation     `json:"violations"`
	Totals     map[Promise]int `json:"totals"`
	Undecided  []Undecided     `json:"undecided,omitempty"`
	Counts     Counts          `json:"counts"`
}

// OK reports whether every promise was checked and kept. An undecided
// conversation is not OK.
func (r *Report) OK() bool { return len(r.Violations) == 0 && len(r.Undecided) == 0 }

// Options bound the work of Check.
type Options struct {
	// Timeout is what Porcupine may take for one conversation; 0 is 10 s.
	Timeout time.Duration
	// Most is how many violations of one promise are kept; 0 is 20.
	Most int
}

// Check holds all promises against h, which it does not change.
func Check(h *history.History, o Options) *Report {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Most == 0 {
		o.Most = 20
	}
	c := &checker{h: h, options: o, report: &Report{Totals: make(map[Promise]int)}}
	c.index()
	c.checkLogs()
	c.checkSends()
	c.checkMembers()
	c.checkReaders()
	c.checkMoments()
	c.checkViews()
	c.checkReceipts()
	c.checkLinearizable()
	return c.report
}

// checker is the state of one Check.
type checker struct {
	h       *history.History
	options Options
	report  *Report

	conversations map[string]*conversation
	order         []*conversation // as in the history
	users         map[string]*history.User

	// causes and seenReceipts are filled in by checkReaders.
	causes       map[place][]cause
	seenReceipts []seenReceipt
}

func (c *checker) violate(p Promise, conversation, client, format string, args ...any) {
	c.report.Totals[p]++
	if c.report.Totals[p] <= c.options.Most {
		c.report.Violations = append(c.report.Violations, Violation{p, conversation, client, fmt.Sprintf(format, args...)})
	}
}

// at writes a time of the history for a person.
func at(ns int64) string {
	return fmt.Sprintf("%.3fs", float64(ns)/1e9)
}

package bench

import (
	"fmt"
	"io"
	"time"
)

// The measurements there are, in the order they run in.
const (
	MeasureSend      = "send"
	MeasureReceive   = "receive"
	MeasureFanout    = "fanout"
	MeasureIdle      = "idle"
	MeasureInbox     = "inbox"
	MeasureCatchUp   = "catchup"
	MeasureReturn    = "return"
	MeasureInboxIdle = "inboxidle"
	MeasureAcks      = "acks"
	MeasureHorizon   = "horizon"
)

// Measures lists them all.
var Measures = []string{
	MeasureSend, MeasureReceive, MeasureFanout, MeasureIdle,
	MeasureInbox, MeasureCatchUp, MeasureReturn, MeasureInboxIdle, MeasureAcks, MeasureHorizon,
}

// Options say what to measure and how much of it. All fields but Database,
// Profile and Progress are needed; amounts are above zero, and Users above one,
// since nobody reads what they sent themselves.
type Options struct {
	// Program is the holdline binary: `serve` and the bare handler are run from it.
	Program string
	// Database is sqlite:PATH, where PATH must not exist yet, or the URL of a
	// PostgreSQL server on which a scratch database may be created and dropped.
	// Empty: a SQLite file in a temporary folder.
	Database string
	// Only names the measurements to run, out of Measures.
	Only []string

	Duration time.Duration // of each side of each round of send, receive, inbox, acks and horizon
	Rounds   int
	Users    int // who send and read, each a member of every conversation

	Connections   int // of send: keep-alive connections, one request at a time each; of horizon: as many sends under way
	Conversations int // of send, idle and horizon
	TextBytes     int // of each message

	ReceiveRate          float64 // messages per second, over all conversations
	ReceiveConversations int

	FanoutReaders  int
	FanoutMessages int // per side and round

	IdleReaders int
	IdleHold    time.Duration // how long they are held before memory is read

	InboxConversations int     // of inbox and catchup: the follower is in
	InboxRate          float64 // messages per second, over those that move
	InboxMoving        int     // at most InboxConversations

	// Away is how long before and after an absence nothing happens, so that the
	// horizon closes and the sweeps go by; of catchup, return and inboxidle.
	Away         time.Duration
	CatchUpMoved []int // how many conversations moved meanwhile, for each run; at most InboxConversations

	ReturnReaders int

	InboxIdleReaders       int
	InboxIdleConversations int // of each of them

	AckRate    float64 // acks per second, over all readers
	AckReaders int     // at most 255, since larger conversations name nobody in receipts

	// Profile names a folder for the server's CPU profiles, one per measurement; empty for none.
	Profile string
	// Progress is told what is going on, a line at a time; nil for nobody.
	Progress io.Writer
}

func (o *Options) progress(format string, args ...any) {
	if o.Progress != nil {
		_, _ = fmt.Fprintf(o.Progress, format+"\n", args...) // for the eye only
	}
}

package bench

import (
	"fmt"
	"io"
	"time"
)

// The measurements there are, in the order they run in.
const (
	MeasureSend    = "send"
	MeasureReceive = "receive"
	MeasureFanout  = "fanout"
	MeasureIdle    = "idle"
)

// Measures lists them all.
var Measures = []string{MeasureSend, MeasureReceive, MeasureFanout, MeasureIdle}

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

	Duration time.Duration // of each side of each round of send and receive
	Rounds   int
	Users    int // who send and read, each a member of every conversation

	Connections   int // of send: keep-alive connections, one request at a time each
	Conversations int // of send and idle
	TextBytes     int // of each message

	ReceiveRate          float64 // messages per second, over all conversations
	ReceiveConversations int

	FanoutReaders  int
	FanoutMessages int // per side and round

	IdleReaders int
	IdleHold    time.Duration // how long they are held before memory is read

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

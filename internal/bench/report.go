package bench

import "time"

// Report is all that one run found out; its JSON is the command's.
type Report struct {
	StartedAt time.Time `json:"started_at"`
	Machine   Machine   `json:"machine"`
	Database  Database  `json:"database"`
	Settings  Settings  `json:"settings"`

	Send    *SendResult    `json:"send,omitempty"`
	Receive *ReceiveResult `json:"receive,omitempty"`
	Fanout  *FanoutResult  `json:"fanout,omitempty"`
	Idle    *IdleResult    `json:"idle,omitempty"`

	Inbox     *InboxResult     `json:"inbox,omitempty"`
	CatchUp   *CatchUpResult   `json:"catchup,omitempty"`
	Return    *ReturnResult    `json:"return,omitempty"`
	InboxIdle *InboxIdleResult `json:"inboxidle,omitempty"`
	Acks      *AcksResult      `json:"acks,omitempty"`
	Horizon   *HorizonResult   `json:"horizon,omitempty"`

	Bars []Bar `json:"bars"`
}

// Settings are the amounts that were measured with.
type Settings struct {
	Rounds    int     `json:"rounds"`
	Seconds   float64 `json:"seconds_per_side_and_round"`
	Users     int     `json:"users"`
	TextBytes int     `json:"text_bytes"`
}

// Bar is a figure that must not get worse than its bound.
type Bar struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Bound   float64 `json:"bound"`
	AtLeast bool    `json:"at_least"` // else at most
	Unit    string  `json:"unit"`
	Met     bool    `json:"met"`
}

func (r *Report) atLeast(name string, value, bound float64, unit string) {
	r.Bars = append(r.Bars, Bar{name, value, bound, true, unit, value >= bound})
}

func (r *Report) atMost(name string, value, bound float64, unit string) {
	r.Bars = append(r.Bars, Bar{name, value, bound, false, unit, value <= bound})
}

// Missed returns the bars that were not met.
func (r *Report) Missed() []Bar {
	var missed []Bar
	for _, b := range r.Bars {
		if !b.Met {
			missed = append(missed, b)
		}
	}
	return missed
}

// Bars, as set for version 1. Those of send depend on the database.
const (
	barSendSQLite   = 0.25 // of the bare handler's requests per second
	barSendPostgres = 0.30 // the same, over a unix socket
	barReceiveP99   = 5.0  // ms from the 201 to the frame
	barFanout       = 0.85 // of the bare loop
	barIdle         = 8.0  // KiB resident per reader

	barCursor    = 128.0 // characters, the longest
	barInboxIdle = 4.0   // KiB resident per inbox stream, above a plain one
	barInboxPoll = 12.0  // KiB resident per inbox long-poll
	barAckWrites = 1.0   // a second and reader
)

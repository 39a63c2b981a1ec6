package torture

import (
	"time"

	"holdline/internal/torture/history"
)

// Plan is everything that a run is going to do, made from a seed before it
// starts. The same Scale gives the same Plan, whatever the machine; when each
// act really happens, and what comes of it, is the run's.
type Plan struct {
	Scale         Scale          `json:"scale"`
	Conversations []Conversation `json:"conversations"`
	Readers       []Reader       `json:"readers"`
	Acts          []Act          `json:"acts"`   // in the order of At
	Faults        []Fault        `json:"faults"` // in the order of At
}

// Scale is what a Plan is made from.
type Scale struct {
	Seed          int64         `json:"seed"`
	Duration      time.Duration `json:"duration"`
	Clients       int           `json:"clients"`
	Users         int           `json:"users"`
	Conversations int           `json:"conversations"`
	Rate          int           `json:"rate"` // sends a second, all clients together
	Nodes         int           `json:"nodes"`
	// What the run has in its hands.
	Processes bool `json:"processes"` // the servers: they can be paused, killed and stopped
	Sessions  bool `json:"sessions"`  // the database's connections: they can be cut
	Database  bool `json:"database"`  // the database itself: it can be stopped and killed
}

// Conversation is one that exists before the run's acts begin, or, if Late, is
// created by one of them.
type Conversation struct {
	Kind    string `json:"kind"`    // direct or group
	History string `json:"history"` // joined or all
	Late    bool   `json:"late,omitempty"`
	Creator int    `json:"creator"` // a user
	// Keeper is a first member who stays to the end, and so can read the whole log.
	Keeper  int   `json:"keeper"`
	Members []int `json:"members"` // the first ones, the creator too
}

// Reader is what a client reads, and how.
type Reader struct {
	Client int          `json:"client"`
	Form   history.Form `json:"form"`
	// Stream says that a text form is read as a stream, not by polls.
	Stream       bool          `json:"stream,omitempty"`
	Conversation int           `json:"conversation"` // -1 for an inbox
	From         history.From  `json:"from"`
	Delay        time.Duration `json:"delay"` // from the start of the acts to the first connect
	Legs         []Leg         `json:"legs"`  // begun again when they are over
}

// Leg is one stretch of a reader's life: it is connected for a while, then away.
type Leg struct {
	Lasts time.Duration `json:"lasts"`
	Gap   time.Duration `json:"gap"`
	Node  int           `json:"node"`
	// Back is how many places the reader goes back before this leg: it comes
	// back with a cursor that it had used already.
	Back int `json:"back,omitempty"`
	// Fork makes a second reader, which goes on from the same cursor.
	Fork bool `json:"fork,omitempty"`
	// Direct goes past the proxy.
	Direct bool `json:"direct,omitempty"`
	// Header puts the cursor into Last-Event-ID where there is a choice.
	Header bool `json:"header,omitempty"`
	// Bare makes it a bare seq, which acks nothing.
	Bare  bool `json:"bare,omitempty"`
	Wait  int  `json:"wait"`  // seconds, of a long-poll
	Limit int  `json:"limit"` // events, of a page
}

// Verb is what an Act does.
type Verb string

// The verbs.
const (
	Send     Verb = "send"
	Replay   Verb = "replay" // an earlier send of the same user, word by word
	Twice    Verb = "twice"  // one send on two connections at once
	Create   Verb = "create"
	Add      Verb = "add"
	Remove   Verb = "remove"
	Leave    Verb = "leave"
	Title    Verb = "title"
	Ack      Verb = "ack"
	Beyond   Verb = "beyond" // an ack beyond the end, which has to be refused
	State    Verb = "state"
	List     Verb = "list"
	Head     Verb = "head"
	Receipts Verb = "receipts"
	Privacy  Verb = "privacy" // read receipts off, or on again
)

// Act is one thing that a client does beside reading.
type Act struct {
	At           time.Duration `json:"at"`
	Verb         Verb          `json:"verb"`
	Client       int           `json:"client"`
	Node         int           `json:"node"`
	Conversation int           `json:"conversation"`
	Users        []int         `json:"users,omitempty"` // of add and remove
	// Number names a send (or a creation), and is what its client_id and text
	// are made from; a replay has that of the send it repeats.
	Number int  `json:"number,omitempty"`
	Bytes  int  `json:"bytes,omitempty"` // of the text
	Reply  bool `json:"reply,omitempty"`
	// Read: an ack says that it was read, else delivered; of privacy, others are told.
	Read bool `json:"read,omitempty"`
	// Attempts is after how many the client stops although it does not know the
	// outcome; 0: it goes on until it knows.
	Attempts int `json:"attempts,omitempty"`
}

// What is what a Fault does.
type What string

// What there is.
const (
	Pause        What = "pause"         // SIGSTOP, then SIGCONT
	Kill         What = "kill"          // SIGKILL, then started again
	Stop         What = "stop"          // SIGTERM, then started again
	Skew         What = "clock"         // the server's clock is wrong for a while
	Connections  What = "connections"   // every connection through the proxy is cut
	Weather      What = "weather"       // new connections through the proxy get faults
	Sessions     What = "sessions"      // the database's connections are cut
	DatabaseStop What = "database stop" // an orderly shutdown, then started again
	DatabaseKill What = "database kill" // as in a crash, then started again
)

// Fault is one thing that goes wrong.
type Fault struct {
	At    time.Duration `json:"at"`
	Lasts time.Duration `json:"lasts,omitempty"`
	What  What          `json:"what"`
	Node  int           `json:"node"`            // -1 for the database
	Ahead time.Duration `json:"ahead,omitempty"` // of clock: by how much it is, behind if negative
	Sky   string        `json:"sky,omitempty"`   // of weather: one of skies
	Seed  int64         `json:"seed,omitempty"`
}

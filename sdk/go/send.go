package holdline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// SendOptions are what a message has beside its text, and how it is sent. The zero value will do.
type SendOptions struct {
	// ClientID names the message: 1 to 64 printable ASCII characters, unique among the user's own in the
	// conversation. Empty for a random one. An application that must not lose a message over its own crash stores
	// text and client_id first, and gives the same again afterwards: that makes one message.
	ClientID string
	// ReplyTo is the seq of the message replied to; 0 for none.
	ReplyTo int64
	// Attempt bounds one attempt (0: 40 s, which is longer than the server takes).
	Attempt time.Duration
	// Pace says how long to wait between attempts.
	Pace Pace
}

// UnconfirmedError says that Send ended without a certain answer. Send the same text with the same ClientID again to
// learn it: that never makes a second message.
type UnconfirmedError struct {
	ConversationID string
	ClientID       string
	// MaybeStored is false if no attempt can have stored the message: each was refused for the moment, or never
	// reached the server.
	MaybeStored bool
	// Err is why no answer was certain: the last failure, and the context's end.
	Err error
}

func (e *UnconfirmedError) Error() string {
	outcome := "it was not stored"
	if e.MaybeStored {
		outcome = "it may have been stored"
	}
	return fmt.Sprintf("holdline: no certain answer to message %q, %s: %v", e.ClientID, outcome, e.Err)
}

func (e *UnconfirmedError) Unwrap() error { return e.Err }

var errNotUTF8 = errors.New("holdline: a message must be valid UTF-8")

// NewClientID returns a random client_id of 128 bits or more.
func NewClientID() string { return rand.Text() }

// outcome is what one attempt has shown.
type outcome int

const (
	accepted  outcome = iota
	refused           // the server says no, and will say so again
	notStored         // not this time
	unknown           // perhaps
)

// Send sends a message and returns its event, once it is stored durably. It repeats with the same client_id, after
// waits that grow, until the answer is certain or ctx ends:
//
//   - 201 and 200 are accepted;
//   - a Problem with status 4xx is a refusal, and returned as *Problem;
//   - 408, 429, 5xx, answers that are not the server's, and lost connections say nothing certain, so it goes on.
//
// When ctx ends first, or the right to ask is lost after an attempt whose outcome is not known, it returns
// *UnconfirmedError, with the client_id to ask again by.
func (c *Client) Send(ctx context.Context, conversation, text string, o SendOptions) (Event, error) {
	if o.ClientID == "" {
		o.ClientID = NewClientID()
	}
	if !utf8.ValidString(text) {
		return Event{}, errNotUTF8 // JSON would quietly make it another text
	}
	message := NewMessage{ClientId: o.ClientID, Text: text, ReplyTo: o.ReplyTo}
	pace := o.Pace.orDefault()
	end := &UnconfirmedError{ConversationID: conversation, ClientID: o.ClientID}
	for failures := 1; ; failures++ {
		if err := ctx.Err(); err != nil {
			end.Err = errors.Join(err, end.Err)
			return Event{}, end
		}
		event, hint, result, err := c.sendOnce(ctx, conversation, message, orDefault(o.Attempt, 40*time.Second))
		switch result {
		case accepted:
			return event, nil
		case refused:
			if !end.MaybeStored || !hidesOutcome(err) {
				return Event{}, err
			}
			end.Err = err
			return Event{}, end
		case unknown:
			end.MaybeStored = true
		case notStored:
		}
		end.Err = err
		if err := pause(ctx, pace.after(failures, hint)); err != nil {
			end.Err = errors.Join(err, end.Err)
			return Event{}, end
		}
	}
}

// hidesOutcome reports whether a refusal leaves open what an earlier attempt did: the session may have ended, or the
// membership, after the message was stored.
func hidesOutcome(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	return p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden || p.Status == http.StatusNotFound
}

// sendOnce makes one attempt.
func (c *Client) sendOnce(ctx context.Context, conversation string, message NewMessage, limit time.Duration) (Event, time.Duration, outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := NewSendMessageRequest(c.server, conversation, message)
	if err != nil {
		return Event{}, 0, refused, err
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	a, err := c.do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		if !connected.Load() {
			return Event{}, 0, notStored, err // nothing has left this machine
		}
		return Event{}, 0, unknown, err
	}
	var event Event
	if err = a.decode(&event); err == nil {
		// A proxy may answer anything; only the message itself is proof.
		if event.ClientId != message.ClientId || event.ConversationId != conversation || event.Seq < 1 {
			return Event{}, 0, unknown, &StatusError{Status: a.status, ContentType: a.header.Get("Content-Type")}
		}
		return event, 0, accepted, nil
	}
	return Event{}, a.retryAfter(), judgeRefusal(err), err
}

// judgeRefusal is what an answer without the message means.
func judgeRefusal(err error) outcome {
	var p *Problem
	switch {
	case !errors.As(err, &p):
		return unknown
	case p.Status == http.StatusRequestTimeout || p.Status == http.StatusTooManyRequests:
		return notStored
	case p.Status < http.StatusInternalServerError:
		return refused
	case p.Code == codeOutcomeUnknown || p.Code == codeInternal:
		return unknown
	case p.Status == http.StatusServiceUnavailable || p.Status == http.StatusInsufficientStorage:
		return notStored
	default:
		return unknown
	}
}

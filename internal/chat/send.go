package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	holdline "holdline/sdk/go"
)

// Outcome is what is certain about a message.
type Outcome int

// The outcomes, each an exit status of `holdline send`.
const (
	Accepted Outcome = iota // the server has it on disk
	Refused                 // it has not, and will not
	Unknown                 // neither is certain yet: repeat it with the same client_id
)

// Letter is a message for Send.
type Letter struct {
	To       string `json:"to"` // a conversation's id, or a handle
	Text     string `json:"text"`
	ClientID string `json:"client_id"`
	// Tried says that an attempt may have stored it.
	Tried bool `json:"tried,omitempty"`
}

// lostError is why it will never be known what became of a letter: the conversation cannot be read any more.
type lostError struct{ reason string }

func (e *lostError) Error() string {
	return "it may have been stored earlier, and that cannot be asked any more: " + e.reason
}

// Mailer sends letters for `holdline send`.
type Mailer struct {
	Server, Token string
	// Timeout bounds each letter.
	Timeout time.Duration
	// Out gets a line for each letter: what became of it, and its client_id.
	Out io.Writer
}

// NewLetter checks what a letter is made of. Without a client_id it gets a random one.
func NewLetter(to, text, clientID string) (Letter, error) {
	if clientID == "" {
		clientID = holdline.NewClientID()
	}
	l := Letter{To: to, Text: text, ClientID: clientID}
	const maxClientID = 64 // openapi.yaml, ClientID
	switch {
	case len(clientID) > maxClientID || strings.ContainsFunc(clientID, func(r rune) bool { return r <= ' ' || r > '~' }):
		return l, fmt.Errorf("a client_id has 1 to %d printable ASCII characters, here without spaces", maxClientID)
	case text == "":
		return l, errors.New("a message has at least one character")
	case len(text) > maxText:
		return l, fmt.Errorf("a message has at most %d bytes, not %d", maxText, len(text))
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return l, errors.New("a message is UTF-8 text, without NUL")
	}
	return l, nil
}

// Send sends one letter and prints what is certain about it. An error says why it was not accepted, or that the line
// could not be printed.
func (m *Mailer) Send(ctx context.Context, l Letter) (Outcome, error) {
	return m.SendMarked(ctx, l, func() error { return nil })
}

// SendMarked is Send with a mark to be made just before an attempt may store the letter; without it none is made.
func (m *Mailer) SendMarked(ctx context.Context, l Letter, mark func() error) (Outcome, error) {
	event, outcome, err := m.send(ctx, l, mark)
	switch outcome {
	case Accepted:
		_, err = fmt.Fprintf(m.Out, "accepted %s %d %s\n", event.ConversationId, event.Seq, l.ClientID)
	case Refused:
		_, printed := fmt.Fprintf(m.Out, "refused %s\n", l.ClientID)
		err = errors.Join(err, printed)
	case Unknown:
		_, printed := fmt.Fprintf(m.Out, "unknown %s\n", l.ClientID)
		err = errors.Join(err, printed)
	}
	return outcome, err
}

func (m *Mailer) send(ctx context.Context, l Letter, mark func() error) (holdline.Event, Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	api, err := holdline.New(m.Server, holdline.Options{Token: m.Token})
	if err != nil {
		return holdline.Event{}, Refused, err
	}
	defer api.CloseIdleConnections()
	conversation, err := resolve(ctx, api, l.To)
	if err != nil {
		if final(err) {
			outcome, why := l.refused(err)
			return holdline.Event{}, outcome, why
		}
		return holdline.Event{}, Unknown, fmt.Errorf("not sent yet: %s", Explain(err))
	}
	if err := mark(); err != nil {
		return holdline.Event{}, Unknown, fmt.Errorf("not sent yet: %w", err)
	}
	event, err := api.Send(ctx, conversation, l.Text, holdline.SendOptions{ClientID: l.ClientID, Pace: pace})
	var unconfirmed *holdline.UnconfirmedError
	switch {
	case err == nil:
		return event, Accepted, nil
	case errors.As(err, &unconfirmed) && unconfirmed.MaybeStored:
		return event, Unknown, fmt.Errorf("it may have been stored, or not: %s", Explain(unconfirmed.Err))
	case errors.As(err, &unconfirmed):
		return event, Unknown, fmt.Errorf("not stored yet: %s", Explain(unconfirmed.Err))
	}
	if status(err) == 401 {
		return event, Unknown, fmt.Errorf("not stored yet, sign in again: %s", Explain(err))
	}
	outcome, why := l.refused(err)
	return event, outcome, why
}

// hides reports whether a refusal says that one may not look, rather than what became of a message.
func hides(err error) bool {
	s := status(err)
	return s == http.StatusForbidden || s == http.StatusNotFound
}

// refused is what a refusal makes certain about a letter, and why: nothing, where an earlier attempt may have stored it.
func (l Letter) refused(err error) (Outcome, error) {
	if l.Tried && hides(err) {
		return Unknown, &lostError{Explain(err)}
	}
	return Refused, errors.New(Explain(err))
}

// final reports whether a refusal would come again. A session that has ended says nothing about the message.
func final(err error) bool {
	s := status(err)
	return s >= 400 && s < 500 && s != 401 && s != 408 && s != 429
}

// resolve finds the conversation that a letter goes to, and keeps trying until the context ends. Handles have no
// capital letters, ids nearly always do; where both would do, an existing conversation's id wins.
func resolve(ctx context.Context, api *holdline.Client, to string) (string, error) {
	for {
		id, err := resolveOnce(ctx, api, to)
		if err == nil || final(err) || status(err) == 401 {
			return id, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(time.Second):
		}
	}
}

func resolveOnce(ctx context.Context, api *holdline.Client, to string) (string, error) {
	v, err := read[holdline.Conversation](api.GetConversation(ctx, to))
	if status(err) == 404 && ValidHandle(to) {
		n := holdline.NewConversation{Kind: holdline.NewConversationKindDirect, Members: []string{to}}
		v, err = read[holdline.Conversation](api.CreateConversation(ctx, n))
	}
	return v.Id, err
}

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SendResult is the throughput of durable sends.
type SendResult struct {
	Connections   int         `json:"connections"`
	Conversations int         `json:"conversations"`
	Rounds        []SendRound `json:"rounds"`
	// Medians over the rounds; the ratio is that of neighbouring sides.
	PerSecond float64 `json:"median_per_second"`
	Ratio     float64 `json:"median_ratio"`
	// Stored is how many messages the log holds at the end: as many as were answered 201.
	Stored int64 `json:"stored"`
}

// SendRound is one pair of neighbouring sides.
type SendRound struct {
	Bare     Rate    `json:"bare"`
	Holdline Rate    `json:"holdline"`
	Ratio    float64 `json:"ratio"`
}

// Rate is what one server did under full load.
type Rate struct {
	PerSecond float64 `json:"per_second"`
	Latency   Latency `json:"latency"`
	// CPU used per request, by the server (without the database's own
	// processes) and by the load client, in microseconds.
	ServerCPU float64 `json:"server_cpu_us"`
	ClientCPU float64 `json:"client_cpu_us"`
}

// sender posts messages over one connection, with nothing made anew but the ids.
type sender struct {
	w                *wire
	request          []byte
	idAt, clientIDAt int
	prefix           string
	sent             int64
}

const (
	idChars       = 11 // of a conversation's id
	clientIDChars = 20
)

// newSender connects. prefix (6 characters) tells its client_ids from those of all others.
func newSender(addr, token, prefix, text string) (*sender, error) {
	const id, clientID = "00000000000", "00000000000000000000"
	body := fmt.Sprintf(`{"client_id":"%s","text":%s}`, clientID, strconv.Quote(text))
	head := fmt.Sprintf("POST /v1/conversations/%s/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", id, addr, token, len(body))
	w, err := dial(addr, 2048)
	if err != nil {
		return nil, err
	}
	return &sender{
		w:          w,
		request:    []byte(head + body),
		idAt:       strings.Index(head, id),
		clientIDAt: len(head) + strings.Index(body, clientID),
		prefix:     prefix,
	}, nil
}

// send posts one message under a client_id of its own. body is valid until the
// next call. Every answer but a 201 is an error.
func (s *sender) send(conversation string) (body []byte, err error) {
	s.sent++
	copy(s.request[s.idAt:s.idAt+idChars], conversation)
	clientID := s.request[s.clientIDAt : s.clientIDAt+clientIDChars]
	copy(clientID, s.prefix)
	for i, n := len(clientID)-1, s.sent; i >= len(s.prefix); i, n = i-1, n/10 {
		clientID[i] = byte('0' + n%10)
	}
	status, body, err := s.w.do(s.request)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if status != 201 {
		return nil, fmt.Errorf("send answered %d, not 201: %s", status, body)
	}
	return body, nil
}

var seqField = []byte(`"seq":`)

// bodySeq returns the seq in the JSON of an event.
func bodySeq(body []byte) (int64, error) {
	i := bytes.Index(body, seqField)
	if i < 0 {
		return 0, fmt.Errorf("the answer to a send names no seq: %s", body)
	}
	digits := body[i+len(seqField):]
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	return decimal(digits[:n])
}

// openSenders opens n connections, one user after the other.
func openSenders(addr string, n int, users []account, text string) ([]*sender, error) {
	run := fmt.Sprintf("%02x", rand.N(256))
	senders := make([]*sender, 0, n)
	for i := range n {
		s, err := newSender(addr, users[i%len(users)].token, fmt.Sprintf("%s%04x", run, i), text)
		if err != nil {
			return nil, errors.Join(err, closeSenders(senders))
		}
		senders = append(senders, s)
	}
	return senders, nil
}

func closeSenders(senders []*sender) error {
	var err error
	for _, s := range senders {
		err = errors.Join(err, s.w.Close())
	}
	return err
}

// measureSend runs the rounds: bare, Holdline, bare, Holdline …
func measureSend(ctx context.Context, o *Options, w *world) (_ *SendResult, err error) {
	conversations, err := w.groups(ctx, o.Conversations)
	if err != nil {
		return nil, err
	}
	r := &SendResult{Connections: o.Connections, Conversations: len(conversations)}
	err = w.beside(ctx, MeasureSend, func(bare, server *child) (err error) {
		sides := []*child{bare, server}
		senders := make([][]*sender, len(sides))
		defer func() { err = errors.Join(err, closeSenders(senders[0]), closeSenders(senders[1])) }()
		for n := range o.Rounds {
			var rates [2]Rate
			for i, c := range sides {
				if n == 0 { // not before its turn: a server closes a connection that asks for nothing
					if senders[i], err = openSenders(c.addr, o.Connections, w.users, w.text); err != nil {
						return fmt.Errorf("%s: %w", c.name, err)
					}
				}
				if rates[i], err = loadFor(ctx, c, senders[i], conversations, o.Duration); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
			round := SendRound{Bare: rates[0], Holdline: rates[1], Ratio: rates[1].PerSecond / rates[0].PerSecond}
			r.Rounds = append(r.Rounds, round)
			o.progress("send: round %d of %d: bare %.0f/s, holdline %.0f/s, ratio %.2f",
				n+1, o.Rounds, round.Bare.PerSecond, round.Holdline.PerSecond, round.Ratio)
		}
		var answered int64
		for _, s := range senders[1] {
			answered += s.sent
		}
		if r.Stored, err = w.messagesIn(ctx, server.addr, conversations); err != nil {
			return err
		}
		if r.Stored != answered {
			return fmt.Errorf("send: %d messages were answered 201, the log holds %d", answered, r.Stored)
		}
		return nil
	})
	r.PerSecond = median(r.Rounds, func(r SendRound) float64 { return r.Holdline.PerSecond })
	r.Ratio = median(r.Rounds, func(r SendRound) float64 { return r.Ratio })
	return r, err
}

// loadFor keeps every sender busy for d, after a warm-up of a fifth of that.
func loadFor(ctx context.Context, c *child, senders []*sender, conversations []string, d time.Duration) (Rate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now().Add(d / 5)
	end := begin.Add(d)
	var (
		wg    sync.WaitGroup
		times = make([]samples, len(senders))
		errs  = make([]error, len(senders))
	)
	for i, s := range senders {
		wg.Go(func() {
			if times[i], errs[i] = keepSending(ctx, s, conversations, i, begin, end); errs[i] != nil {
				cancel()
			}
		})
	}
	var server, client [2]time.Duration
	for i, at := range []time.Time{begin, end} {
		// A context that ends shows in the senders' errors.
		_, _ = pace{start: at}.wait(ctx, 0)
		server[i], client[i] = cpuTime(c.pid()), ownCPUTime()
	}
	wg.Wait()
	if err := firstCause(errs); err != nil {
		return Rate{}, err
	}
	var all samples
	for _, t := range times {
		all = append(all, t...)
	}
	if len(all) == 0 {
		return Rate{}, errors.New("not one request was answered in the time given; ask for a longer one")
	}
	n := float64(len(all))
	return Rate{
		PerSecond: n / d.Seconds(),
		Latency:   all.latency(),
		ServerCPU: float64((server[1] - server[0]).Microseconds()) / n,
		ClientCPU: float64((client[1] - client[0]).Microseconds()) / n,
	}, nil
}

// keepSending posts one message after the other until end, and returns the
// times of those that were answered between begin and end. Each sender goes
// through the conversations in an order of its own, so that they are not all
// in the same one.
func keepSending(ctx context.Context, s *sender, conversations []string, sender int, begin, end time.Time) (samples, error) {
	order := rand.New(rand.NewPCG(uint64(sender), 0)).Perm(len(conversations))
	times := make(samples, 0, 1<<14)
	start := time.Now()
	for n := 0; start.Before(end); n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := s.send(conversations[order[n%len(order)]]); err != nil {
			return nil, err
		}
		done := time.Now()
		if done.After(begin) && done.Before(end) {
			times = append(times, done.Sub(start))
		}
		start = done
	}
	return times, nil
}

// firstCause returns the first error that is not the cancelling of the others.
func firstCause(errs []error) error {
	var cancelled error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			cancelled = err
		default:
			return err
		}
	}
	return cancelled
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// FanoutResult is how long one message takes to reach many readers of one
// conversation, against a loop that writes the same bytes to as many sockets.
type FanoutResult struct {
	Readers    int           `json:"readers"`
	Messages   int           `json:"messages_per_side_and_round"`
	FrameBytes int           `json:"frame_bytes"`
	Rounds     []FanoutRound `json:"rounds"`
	Ratio      float64       `json:"median_ratio"`
}

// FanoutRound is one pair of neighbouring sides. Ratio is the bare loop's
// median Spread over Holdline's.
type FanoutRound struct {
	Bare     Fan     `json:"bare"`
	Holdline Fan     `json:"holdline"`
	Ratio    float64 `json:"ratio"`
}

// Fan is what one side took. Messages follow each other: the next is sent when
// the last reader has the one before.
type Fan struct {
	// Spread is the fan-out itself: from the first sign that the message is out,
	// a reader's frame or the answer to the request, to the moment the last
	// reader had read its frame. The durable commit, which the bare loop has
	// not, lies before it.
	Spread Latency `json:"spread"`
	// Whole is from writing the request to that same moment.
	Whole Latency `json:"whole"`
	// Answered is from writing the request to its answer.
	Answered Latency `json:"answered"`
	// CPU used per delivery, by the server and by the load client, in microseconds.
	ServerCPU float64 `json:"server_cpu_us"`
	ClientCPU float64 `json:"client_cpu_us"`
}

func measureFanout(ctx context.Context, o *Options, w *world) (_ *FanoutResult, err error) {
	if err := needDescriptors(uint64(2*o.FanoutReaders) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("fanout: %w", err)
	}
	conversations, err := w.groups(ctx, 1)
	if err != nil {
		return nil, err
	}
	conversation := conversations[0]
	r := &FanoutResult{Readers: o.FanoutReaders, Messages: o.FanoutMessages}
	err = w.beside(ctx, MeasureFanout, func(bare, server *child) (err error) {
		senders, err := openSenders(server.addr, 1, w.users, w.text)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSenders(senders)) }()
		// The sender's own streams carry the client_id as well: read as others.
		request := func(i int) []byte {
			return streamRequest(server.addr, conversation, w.users[1+i%(len(w.users)-1)].token, 1)
		}
		first, err := openStream(server.addr, request(0), 4096)
		if err != nil {
			return err
		}
		defer func() { _ = first.Close() }() // a reader that leaves
		if _, err := senders[0].send(conversation); err != nil {
			return err
		}
		frame, err := firstFrame(first)
		if err != nil {
			return err
		}
		if err := first.Close(); err != nil {
			return err
		}
		r.FrameBytes = len(frame)

		trigger, err := dial(bare.addr, 512)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, trigger.Close()) }()
		fan := append(fmt.Appendf(nil, "POST /fan HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", bare.addr, len(frame)), frame...)
		after := func(i int) []byte {
			return streamRequest(server.addr, conversation, w.users[1+i%(len(w.users)-1)].token, 2)
		}
		sides := []fanSide{
			{child: bare, publish: func() error {
				status, body, err := trigger.do(fan)
				if err == nil && status != 204 {
					err = fmt.Errorf("the bare loop answered %d: %s", status, body)
				}
				return err
			}},
			{child: server, publish: func() error {
				_, err := senders[0].send(conversation)
				return err
			}},
		}
		for i := range sides {
			streams, err := openStreams(ctx, sides[i].addr, o.FanoutReaders, 1024, after)
			if err != nil {
				return fmt.Errorf("fanout: %s: %w", sides[i].name, err)
			}
			sides[i].crowd = startCrowd(streams)
			defer sides[i].crowd.close()
		}
		for n := range o.Rounds {
			var fans [2]Fan
			for i := range sides {
				if fans[i], err = sides[i].measure(ctx, o.FanoutMessages); err != nil {
					return fmt.Errorf("fanout: %s: %w", sides[i].name, err)
				}
			}
			round := FanoutRound{Bare: fans[0], Holdline: fans[1], Ratio: fans[0].Spread.P50 / fans[1].Spread.P50}
			r.Rounds = append(r.Rounds, round)
			o.progress("fanout: round %d of %d: bare %.1f ms, holdline %.1f ms, ratio %.2f",
				n+1, o.Rounds, round.Bare.Spread.P50, round.Holdline.Spread.P50, round.Ratio)
		}
		return nil
	})
	r.Ratio = median(r.Rounds, func(r FanoutRound) float64 { return r.Ratio })
	return r, err
}

// fanSide is one server with its readers.
type fanSide struct {
	*child
	publish func() error
	crowd   *crowd
}

// measure publishes n messages, each when the one before has reached everybody.
func (s *fanSide) measure(ctx context.Context, n int) (Fan, error) {
	spread, whole, answers := make(samples, 0, n), make(samples, 0, n), make(samples, 0, n)
	warm := max(1, n/10)
	var server, client time.Duration
	for i := range warm + n {
		if i == warm {
			server, client = cpuTime(s.pid()), ownCPUTime()
		}
		s.crowd.expect()
		begun := time.Now()
		if err := s.publish(); err != nil {
			return Fan{}, err
		}
		answered := time.Now()
		first, last, err := s.crowd.wait(ctx)
		if err != nil {
			return Fan{}, err
		}
		if i < warm {
			continue
		}
		out := first
		if answered.Before(first) {
			out = answered
		}
		spread = append(spread, last.Sub(out))
		whole = append(whole, last.Sub(begun))
		answers = append(answers, answered.Sub(begun))
	}
	deliveries := float64(n * len(s.crowd.streams))
	return Fan{
		Spread:    spread.latency(),
		Whole:     whole.latency(),
		Answered:  answers.latency(),
		ServerCPU: float64((cpuTime(s.pid()) - server).Microseconds()) / deliveries,
		ClientCPU: float64((ownCPUTime() - client).Microseconds()) / deliveries,
	}, nil
}

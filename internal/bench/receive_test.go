package bench

import (
	"strings"
	"testing"
	"time"
)

func TestDeliveryIsCountedFromTheAnswer(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	l := &line{
		accepted: []arrival{{2, at(100)}, {3, at(200)}, {4, at(300)}, {5, at(400)}},
		received: []arrival{{2, at(101)}, {3, at(199)}, {4, at(303)}, {5, at(402)}},
	}
	round, err := sumUp([]*line{l}, start)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Latency{Count: 4, P50: 1, P99: 3, Max: 3}); round.Delivery != want {
		t.Errorf("delivery %+v, want %+v", round.Delivery, want)
	}
	if round.BeforeAcceptance != 0.25 || round.PerSecond != 10 {
		t.Errorf("got %+v", round)
	}
	l.received[2].seq = 5
	if _, err := sumUp([]*line{l}, start); err == nil || !strings.Contains(err.Error(), "event 4 was accepted, 5 delivered") {
		t.Errorf("a swapped event gave %v", err)
	}
}

func TestAnswersWithoutASeqAreErrors(t *testing.T) {
	for _, body := range []string{`{}`, `{"seq":}`, `{"seq":-1}`} {
		if seq, err := bodySeq([]byte(body)); err == nil {
			t.Errorf("%s gave seq %d", body, seq)
		}
	}
}

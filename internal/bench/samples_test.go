package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentilesAreNearestRank(t *testing.T) {
	var s samples
	for i := 200; i >= 1; i-- {
		s = append(s, time.Duration(i)*time.Millisecond)
	}
	if got, want := s.latency(), (Latency{Count: 200, P50: 100, P99: 198, Max: 200}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (samples{}).latency(); got != (Latency{}) {
		t.Errorf("no samples: %+v", got)
	}
	if got := (samples{5 * time.Millisecond}).latency(); got.P50 != 5 || got.P99 != 5 {
		t.Errorf("one sample: %+v", got)
	}
}

func TestMedian(t *testing.T) {
	same := func(f float64) float64 { return f }
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.in, same); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.in, got, c.want)
		}
	}
}

func TestPaceKeepsItsScheduleWhenATickIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := stagger(start, 500, 3, 64) // a start every 2 ms; each sender every 128 ms, this one 6 ms in
		at := func(i int) time.Duration {
			due, err := p.wait(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			if want := start.Add(6*time.Millisecond + time.Duration(i)*128*time.Millisecond); !due.Equal(want) {
				t.Fatalf("tick %d due at %v, want %v", i, due.Sub(start), want.Sub(start))
			}
			return time.Since(start)
		}
		if got := at(0); got != 6*time.Millisecond {
			t.Errorf("tick 0 ran at %v", got)
		}
		<-time.After(500 * time.Millisecond) // on synctest's clock: work that overran three ticks
		for i := 1; i <= 3; i++ {
			if got := at(i); got != 506*time.Millisecond {
				t.Errorf("tick %d ran at %v, want at once", i, got)
			}
		}
		if got := at(4); got != 518*time.Millisecond {
			t.Errorf("tick 4 ran at %v", got)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := pace{start: time.Now(), interval: time.Hour}
		time.AfterFunc(time.Second, cancel)
		if _, err := p.wait(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

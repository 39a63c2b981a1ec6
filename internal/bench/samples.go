package bench

import (
	"math"
	"slices"
	"time"
)

// samples are measured times. All are kept: a run has at most some hundred
// thousand, and exact percentiles need no argument about bucket widths.
type samples []time.Duration

// Latency sums up measured times, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// latency sorts s and sums it up.
func (s samples) latency() Latency {
	slices.Sort(s)
	l := Latency{Count: len(s), P50: millis(s.percentile(50)), P99: millis(s.percentile(99))}
	if len(s) > 0 {
		l.Max = millis(s[len(s)-1])
	}
	return l
}

// percentile returns the smallest sample that at least p percent of the sorted
// samples do not exceed (nearest rank); zero if there are none.
func (s samples) percentile(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(s))))
	return s[min(max(rank, 1), len(s))-1]
}

// median returns the middle of what f picks from each item, the mean of the two
// middle ones for an even number, zero for none.
func median[T any](items []T, f func(T) float64) float64 {
	values := make([]float64, len(items))
	for i, item := range items {
		values[i] = f(item)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

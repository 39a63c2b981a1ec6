package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idleLook is how often memory is looked at, and idleAllocates is how much a
	// process allocates meanwhile at most that counts as idle, in bytes.
	idleLook      = 5 * time.Second
	idleAllocates = 1 << 20
)

// collectWhenIdle gives back what a burst of work has left behind, once it is
// over: thousands of readers that have just connected wait in half the memory.
// By itself Go collects an idle process's garbage every two minutes only. While
// there is work it does nothing.
func collectWhenIdle(ctx context.Context) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	ticker := time.NewTicker(idleLook)
	defer ticker.Stop()
	for before := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		allocated, objects, live := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
		if allocated-before < idleAllocates && objects > live+max(live/4, idleAllocates) {
			debug.FreeOSMemory()
		}
		before = allocated
	}
}

package poller

import "sync"

// waker wakes the readers of topics that have something new, so that the
// store's writer does not have to.
type waker struct {
	p      *Poller
	signal chan struct{}

	mu    sync.Mutex
	queue []*topic
}

func (w *waker) init(p *Poller) {
	w.p = p
	w.signal = make(chan struct{}, 1)
}

// add queues a topic; t.rousing keeps it from being queued twice.
func (w *waker) add(t *topic) {
	w.mu.Lock()
	w.queue = append(w.queue, t)
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *waker) run() {
	var batch []*topic
	for {
		select {
		case <-w.p.ctx.Done():
			return
		case <-w.signal:
		}
		w.mu.Lock()
		batch, w.queue = w.queue, batch[:0]
		w.mu.Unlock()
		for i, t := range batch {
			parked := t.takeParked()
			for _, r := range parked {
				r.signal()
			}
			clear(parked)
			batch[i] = nil
		}
	}
}

package store

import "sync"

// maxSideWorkers is how many held conversations are waited for at once.
const maxSideWorkers = 4

// side waits for conversations whose rows another node holds, so that the
// lane never does. Each such conversation has at most one worker, which waits
// for its row up to a second and then gives up on the sends it had.
type side struct {
	lane    *lane
	slots   chan struct{} // cap maxSideWorkers
	workers sync.WaitGroup

	mu   sync.Mutex
	held map[ID][]*pending // present: a worker is on it
}

func (s *side) start(l *lane) {
	s.lane = l
	s.slots = make(chan struct{}, maxSideWorkers)
	s.held = make(map[ID][]*pending)
}

func (s *side) add(p *pending) {
	id := p.Send.ConversationID
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, working := s.held[id]
	s.held[id] = append(queue, p)
	if !working {
		s.workers.Go(func() { s.work(id) })
	}
}

func (s *side) work(id ID) {
	for {
		s.slots <- struct{}{}
		batch := s.take(id)
		if len(batch) > 0 {
			s.commit(batch)
		}
		<-s.slots
		if len(batch) == 0 {
			return
		}
	}
}

// take removes up to a batch of a conversation's sends; empty ends the worker.
func (s *side) take(id ID) []*pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.held[id]
	if len(queue) == 0 {
		delete(s.held, id)
		return nil
	}
	n := min(len(queue), maxBatch)
	s.held[id] = queue[n:]
	return queue[:n:n]
}

func (s *side) commit(batch []*pending) {
	defer s.lane.answer(batch)
	s.lane.append(batch, true)
	for _, p := range batch {
		if p.Held {
			p.Held = false
			p.Err = Errorf(CodeUnavailable, "the conversation is held by another writer; nothing was stored, try again shortly")
		}
	}
}

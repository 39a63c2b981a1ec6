package storetest

import (
	"encoding/json"
	"slices"

	"holdline/store"
)

// wholeLog is a conversation's log and what its member events say.
type wholeLog struct {
	history   string
	events    []store.Event
	stretches map[store.ID][]modelStretch
	touched   map[store.ID]int64 // the stamp of the last change of somebody's membership
}

type modelStretch struct {
	store.Interval
	joined int64 // the stamp of the event that began it
}

func (l *wholeLog) replay(e *store.Event) {
	switch {
	case e.Type == store.EventCreated:
		var said struct{ Members []store.ID }
		if err := json.Unmarshal([]byte("{"+e.Extra+"}"), &said); err != nil {
			panic(err)
		}
		for _, user := range said.Members {
			l.stretches[user] = []modelStretch{{store.Interval{FromSeq: 1}, e.Stamp}}
			l.touched[user] = e.Stamp
		}
	case e.Type != store.EventMember:
	case e.Action == store.MemberAdded:
		before := l.stretches[e.SubjectID]
		from := e.Seq
		if l.history == store.HistoryAll {
			from = 1
			if n := len(before); n > 0 {
				from = before[n-1].ToSeq + 1
			}
		}
		l.stretches[e.SubjectID] = append(before, modelStretch{store.Interval{FromSeq: from}, e.Stamp})
		l.touched[e.SubjectID] = e.Stamp
	case e.Ends(e.SubjectID):
		all := l.stretches[e.SubjectID]
		all[len(all)-1].ToSeq = e.Seq
		l.touched[e.SubjectID] = e.Stamp
	}
}

// latest returns a user's last stretch, nil if they were never a member.
func (l *wholeLog) latest(user store.ID) *modelStretch {
	if all := l.stretches[user]; len(all) > 0 {
		return &all[len(all)-1]
	}
	return nil
}

// placeAt is the last seq with a stamp up to the one given.
func (l *wholeLog) placeAt(stamp int64) (seq int64) {
	for _, e := range l.events {
		if e.Stamp <= stamp {
			seq = e.Seq
		}
	}
	return seq
}

// since is the stamp from which on a user can have got to a seq: where they
// come back right behind it, that of their first event; 0 where there is none.
func (l *wholeLog) since(user store.ID, seq int64) int64 {
	if slices.ContainsFunc(l.stretches[user], func(s modelStretch) bool { return s.FromSeq == seq+1 }) {
		seq++
	}
	if seq == 0 {
		return 0
	}
	return l.events[seq-1].Stamp
}

// readable returns the seqs above a stamp that a user may read.
func (l *wholeLog) readable(user store.ID, since int64) (seqs []int64) {
	for _, e := range l.events {
		if e.Stamp > since && slices.ContainsFunc(l.stretches[user], func(s modelStretch) bool { return s.holds(e.Seq) }) {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs
}

func (s *modelStretch) holds(seq int64) bool {
	return seq >= s.FromSeq && (s.ToSeq == 0 || seq <= s.ToSeq)
}

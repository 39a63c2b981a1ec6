package fire

import (
	"context"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// crowd signs n senders up and gives them conversations that they are all in:
// the first is the hot one.
func crowd(t *testing.T, s *harness.Server, n, conversations int) (clients []*harness.Client, ids []string) {
	t.Helper()
	clients = people(t, s, "sender", n)
	for range conversations {
		ids = append(ids, clients[0].Group(handles("sender", n)[1:]...))
	}
	return clients, ids
}

// While 16 clients send, the server is killed 20 times, at moments chosen by
// how many sends were answered and by chance. Every answered send is in the log
// exactly once with the seq it was answered with; sends that were cut and
// repeated made one message.
func TestKilledServerLosesNothing(t *testing.T) {
	const kills = 20
	testdb.Each(t, func(t *testing.T, database string) {
		d := newDice(t)
		r := d.of("killer")
		server := harness.Start(t, harness.Config{Database: database, NoRace: true})
		clients, conversations := crowd(t, server, 16, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		began := time.Now()
		s := newSenders(d, conversations...)
		s.start(ctx, clients...)
		var inFlight []int64
		for kill := range kills {
			s.waitFor(t, 1+r.Int64N(100))
			// Right after an answer others of its batch are stored and not yet
			// answered; a little later the next batch is under way.
			if kill%2 == 1 {
				pause(ctx, time.Duration(r.Int64N(int64(8*time.Millisecond))))
			}
			s.ending()
			inFlight = append(inFlight, s.flight.Load())
			server.Kill()
			server = server.Again()
			s.reborn()
		}
		s.waitFor(t, 200) // it goes on, and everybody has repeated what was cut
		s.stop(t)
		took := time.Since(began)
		server.Kill()
		s.check(t, openStore(t, database))

		total := checkCuts(t, s, inFlight)
		if s.repeats == 0 {
			t.Error("no answered send was repeated")
		}
		t.Logf("%d kills in %.1f s: %d accepted, %d sends cut, of which %d were stored and %d not, %d repeats of answered sends, refused %v",
			kills, took.Seconds(), len(s.accepted), total, s.wereStored, s.wereNot, s.repeats, s.refused)
	})
}

// checkCuts sees that the kills have hit: without sends that lost their answer
// the test would show nothing.
func checkCuts(t *testing.T, s *senders, inFlight []int64) (total int64) {
	t.Helper()
	for i, l := range s.cuts {
		cut := l.cut.Load()
		if cut == 0 {
			t.Errorf("kill %d cut no send; %d were under way", i+1, inFlight[i])
		}
		total += cut
	}
	if s.wereStored == 0 || s.wereNot == 0 {
		t.Errorf("of the sends cut, %d were stored and %d not; both must occur", s.wereStored, s.wereNot)
	}
	return total
}

// While 16 clients send, PostgreSQL is stopped as in a crash, five times, and
// twice the server is killed together with it. Meanwhile sends are refused with
// 503, by the code that says whether they may have been stored; the server
// recovers by itself; nothing accepted is lost.
func TestKilledPostgresLosesNothing(t *testing.T) {
	const kills, both = 5, 2
	d := newDice(t)
	r := d.of("killer")
	cluster := testdb.Cluster(t)
	database := cluster.URL("postgres")
	server := harness.Start(t, harness.Config{Database: database, NoRace: true})
	clients, conversations := crowd(t, server, 16, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	s := newSenders(d, conversations...)
	s.start(ctx, clients...)
	for kill := range kills {
		s.waitFor(t, 50+r.Int64N(200))
		pause(ctx, time.Duration(r.Int64N(int64(8*time.Millisecond))))
		if kill < kills-both {
			cluster.Immediate()
			s.waitFor(t, 50) // answered all the same, by a refusal
			cluster.Start()
			continue
		}
		s.ending()
		server.Kill()
		cluster.Immediate()
		cluster.Start()
		server = server.Again()
		s.reborn()
	}
	s.waitFor(t, 300)
	s.stop(t)
	took := time.Since(began)
	s.check(t, openStore(t, database))
	if s.refused["unavailable"] == 0 {
		t.Errorf("nobody was told that the database is gone: %v", s.refused)
	}
	for code := range s.refused {
		switch code {
		case "unavailable", "outcome_unknown", "overloaded":
		default:
			t.Errorf("code %q does not fit a database that is gone", code)
		}
	}
	t.Logf("PostgreSQL stopped %d times, with the server %d times of those, in %.1f s: %d accepted, refused %v; of the sends without a certain answer %d were stored and %d not",
		kills, both, took.Seconds(), len(s.accepted), s.refused, s.wereStored, s.wereNot)
}

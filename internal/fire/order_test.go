package fire

import (
	"context"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

const (
	orderSenders = 32
	orderReaders = 8 // of the stream, and as many that poll
	orderEach    = 30
)

// 32 senders in one conversation, 8 readers of its stream and 8 that poll, all
// of whom leave and come back at random, and one that stays: every reader ends
// with the identical gapless sequence, which is that of the log.
func TestEveryReaderSeesOneOrder(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		server := harness.Start(t, harness.Config{Database: database, Args: []string{"--heartbeat=1s"}})
		order(t, database, server)
	})
}

// The same on two servers that give each other no hints: what one of them
// writes the other finds by its sweep alone. Senders are spread over both, and
// readers change the server from one sitting to the next, but for those that stay.
// Whoever comes back makes a server look at the head, for all who wait there: so
// what the sweep does alone is shown apart, by TestTheSweepAloneCarriesTheLog.
func TestEveryReaderSeesOneOrderOnTwoServers(t *testing.T) {
	database := testdb.Postgres(t)
	one := harness.Config{Database: database, Args: []string{"--hints=off", "--sweep=100ms", "--heartbeat=1s"}}
	order(t, database, harness.Start(t, one), harness.Start(t, one))
}

// All senders on one server; on the other one a single reader, who stays, so
// that nothing but the sweep tells that server of what is written.
func TestTheSweepAloneCarriesTheLog(t *testing.T) {
	const senders, each = 8, 30
	d := newDice(t)
	database := testdb.Postgres(t)
	config := harness.Config{Database: database, Args: []string{"--hints=off", "--sweep=100ms", "--heartbeat=1s"}}
	here, there := harness.Start(t, config), harness.Start(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	clients := people(t, here, "sender", senders)
	account := onAll(t, people(t, here, "reader", 1), []*harness.Server{here, there})[0]
	conversation := clients[0].Group(append(handles("sender", senders)[1:], "reader-0")...)
	var rs readers
	rs.startSteady(ctx, d, conversation, account)
	s := newSenders(d, conversation)
	s.limit = each
	s.start(ctx, clients...)
	s.wait(t)
	st := openStore(t, database)
	if sittings, _ := rs.finish(t, storedLog(t, st, conversation)); sittings != len(rs.all) {
		t.Errorf("%d readers stayed, but had to come back %d times", len(rs.all), sittings-len(rs.all))
	}
	s.check(t, st)
}

func order(t *testing.T, database string, servers ...*harness.Server) {
	t.Helper()
	d := newDice(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	clients := people(t, servers[0], "sender", orderSenders)
	accounts := onAll(t, people(t, servers[0], "reader", orderReaders), servers)
	conversation := clients[0].Group(append(handles("sender", orderSenders)[1:], handles("reader", orderReaders)...)...)

	began := time.Now()
	var rs readers
	rs.start(ctx, d, conversation, false, accounts)
	rs.startSteady(ctx, d, conversation, accounts[0])
	s := newSenders(d, conversation)
	s.limit = orderEach
	for i := range clients {
		if other := servers[i%len(servers)]; other != servers[0] {
			clients[i] = bare(t, clients[i].At(other))
		}
	}
	s.start(ctx, clients...)
	s.wait(t)
	sent := time.Since(began)

	st := openStore(t, database)
	sittings, resumed := rs.finish(t, storedLog(t, st, conversation))
	took := time.Since(began)
	s.check(t, st)
	if want := orderSenders * orderEach; len(s.accepted) != want {
		t.Errorf("%d messages accepted instead of %d", len(s.accepted), want)
	}
	if least := 4 * len(rs.all); resumed < least {
		t.Errorf("the readers came back for more only %d times, less than %d: they hardly left", resumed, least)
	}
	t.Logf("%d messages sent in %.1f s; %d readers had them all after %.1f s, in %d sittings of which %d went on behind a cursor; %d repeats",
		len(s.accepted), sent.Seconds(), len(rs.all), took.Seconds(), sittings, resumed, s.repeats)
}

// onAll gives each account a client on each server.
func onAll(t *testing.T, accounts []*harness.Client, servers []*harness.Server) [][]*harness.Client {
	t.Helper()
	all := make([][]*harness.Client, len(accounts))
	for i, c := range accounts {
		for _, s := range servers {
			all[i] = append(all[i], bare(t, c.At(s)))
		}
	}
	return all
}

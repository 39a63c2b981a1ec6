package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"holdline/store"
)

// BenchmarkAppend sends from 64 goroutines of 8 users over 256 conversations,
// each send durable and checked; the figure to read is sends/s.
func BenchmarkAppend(b *testing.B, open func(*testing.B) store.Backend) {
	ctx := context.Background()
	s, err := store.New(ctx, open(b), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var actors []store.Actor
	var handles []string
	for i := range 8 {
		handle := fmt.Sprint("user", i)
		u, err := s.CreateUser(ctx, store.NewUser{Handle: handle, DisplayName: handle, Role: store.RoleUser})
		if err != nil {
			b.Fatal(err)
		}
		hash := sha256.Sum256([]byte(handle))
		session, err := s.CreateSession(ctx, u.ID, hash[:], "")
		if err != nil {
			b.Fatal(err)
		}
		actors, handles = append(actors, store.Actor{UserID: u.ID, SessionID: session.ID}), append(handles, handle)
	}
	groups := make([]store.ID, 256)
	for i := range groups {
		c, _, err := s.CreateConversation(ctx, store.NewConversation{Actor: actors[0], Kind: store.KindGroup, Title: "t", Members: handles})
		if err != nil {
			b.Fatal(err)
		}
		groups[i] = c.ID
	}
	var count atomic.Int64
	b.SetParallelism(32) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			n := count.Add(1)
			send := store.Send{
				Actor: actors[n%8], ConversationID: groups[n*7919%256],
				ClientID: strconv.FormatInt(n, 36), Text: "a line of about forty characters, as usual",
			}
			if _, _, err := s.Append(ctx, send); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

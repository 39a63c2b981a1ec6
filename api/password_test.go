package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"holdline/store"
)

func TestPasswords(t *testing.T) {
	encoded := HashPassword(password)
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("encoded as %s", encoded)
	}
	if again := HashPassword(password); again == encoded {
		t.Error("the same salt twice")
	}
	for word, want := range map[string]bool{password: true, password + "x": false, "": false} {
		if ok, err := VerifyPassword(word, encoded); ok != want || err != nil {
			t.Errorf("%q: %v, %v", word, ok, err)
		}
	}
	for _, broken := range []string{"", "x", "$argon2i$v=19$m=19456,t=2,p=1$AA$AA", "$argon2id$v=18$m=19456,t=2,p=1$AA$AA",
		"$argon2id$v=19$m=99999999,t=2,p=1$AA$AA", "$argon2id$v=19$m=8,t=0,p=1$AA$AA", "$argon2id$v=19$m=8,t=1,p=1$!$AA", "$argon2id$v=19$m=8,t=1,p=1$AA$AA"} {
		if ok, err := VerifyPassword(password, broken); ok || err == nil {
			t.Errorf("%q: %v, %v", broken, ok, err)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	for word, right := range map[string]bool{
		"1234567": false, "12345678": true, "éééé": true, "1234567\x00": false,
		strings.Repeat("x", MaxPasswordBytes): true, strings.Repeat("x", MaxPasswordBytes+1): false,
	} {
		if err := CheckPassword(word); (err == nil) != right {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// Where there is no account the answer is no, whatever the password, and no
// more hashing is done at a time than there are turns.
func TestPasswordsInTurn(t *testing.T) {
	p := newPasswords(64)
	ctx := context.Background()
	if ok, err := p.verify(ctx, password, ""); ok || err != nil {
		t.Errorf("nobody's password: %v, %v", ok, err)
	}
	if encoded, err := p.hash(ctx, password); err != nil {
		t.Error(err)
	} else if ok, err := p.verify(ctx, password, encoded); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}

	for range cap(p.turns) {
		p.turns <- struct{}{}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.hash(gone, password); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn: %v", err)
	}
	p.waiting.Store(maxQueuedPasswords)
	if _, err := p.hash(ctx, password); store.CodeOf(err) != store.CodeOverloaded {
		t.Errorf("past the queue: %v", err)
	}
	if n := p.waiting.Load(); n != maxQueuedPasswords {
		t.Errorf("%d waiting", n)
	}
}

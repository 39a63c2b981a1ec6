package password

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyThePasswordItselfMatches(t *testing.T) {
	stored, err := Hash("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{
		"correct horse battery": true, "correct horse batter": false, "Correct horse battery": false, "": false,
	} {
		if got, err := Verify(stored, password); err != nil || got != want {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	again, err := Hash("correct horse battery")
	if err != nil || again == stored {
		t.Errorf("two hashes of one password are the same (%v)", err)
	}
}

func TestCheaperHashesOfEarlierVersionsStillMatch(t *testing.T) {
	// The argon2 reference program: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, err := Verify(stored, "password"); err != nil || !ok {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestNoAccountMatchesNothing(t *testing.T) {
	if ok, err := Verify("", ""); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestUnknownFormsAreErrors(t *testing.T) {
	for _, stored := range []string{
		"x", "$2a$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=1,t=1,p=1$AAAA$AAAA", "$argon2id$v=16$m=8,t=1,p=1$AAAA$AAAA",
		"$argon2id$v=19$m=8,t=0,p=1$AAAA$AAAA", "$argon2id$v=19$m=8,t=1,p=1$AAAA$", "$argon2id$v=19$m=8,t=1,p=1$?$AAAA",
	} {
		if ok, err := Verify(stored, "password"); ok || !errors.Is(err, errFormat) {
			t.Errorf("%q: %v, %v", stored, ok, err)
		}
	}
}

func TestUnacceptablePasswords(t *testing.T) {
	for name, password := range map[string]string{
		"short": "1234567", "long": strings.Repeat("x", 257), "not UTF-8": "12345678\xff", "NUL": "1234\x005678",
	} {
		if _, err := Hash(password); !errors.Is(err, ErrUnacceptable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, password := range map[string]string{"shortest": "12345678", "longest": strings.Repeat("x", 256), "emoji": "🐎🐎"} {
		if err := Check(password); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

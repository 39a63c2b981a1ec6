package store

import (
	"errors"
	"strings"
	"testing"
)

func TestInsertWithNewID(t *testing.T) {
	var tried []ID
	id, err := insertWithNewID(func(id ID) (int64, error) {
		tried = append(tried, id)
		return int64(len(tried) - 1), nil // the first is taken
	})
	if err != nil || len(tried) != 2 || id != tried[1] || tried[0] == tried[1] {
		t.Errorf("id %v, error %v, tried %v", id, err, tried)
	}
	if _, err := insertWithNewID(func(ID) (int64, error) { return 0, nil }); CodeOf(err) != CodeInternal {
		t.Errorf("all ids taken: %v", err)
	}
	broken := errors.New("broken")
	if _, err := insertWithNewID(func(ID) (int64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Names come from requests: whatever they hold, the message is one short line.
func TestUnknownMembersNamesTheFirstFew(t *testing.T) {
	for _, c := range []struct {
		handles []string
		want    string
	}{
		{[]string{"bob"}, `there is no active account with the handle "bob"`},
		{[]string{"a\nb\x00", "\u202e🦉"}, `there is no active account with the handle "a\nb\x00", "\u202e\U0001f989"`},
		{[]string{"a", "b", "c", "d", "e", "f", "g"}, `there is no active account with the handle "a", "b", "c", "d", "e" and 2 more`},
		{[]string{strings.Repeat("x", 1000)}, `there is no active account with the handle "` + strings.Repeat("x", 39) + `…"`},
	} {
		var e *Error
		if err := unknownMembers(c.handles); !errors.As(err, &e) || e.Message != c.want || e.Field != "members" || e.Code != CodeUnknownMember {
			t.Errorf("%q: %v, want %s", c.handles, err, c.want)
		}
	}
}

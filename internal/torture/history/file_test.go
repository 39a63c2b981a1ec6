package history

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// full is a history in which every field of every type is set.
func full(t *testing.T) *History {
	t.Helper()
	event := Event{
		Conversation: "c1", Seq: 1, Through: 2, Type: "created", Sender: "u1", ClientID: "m-1", Text: "a <b> & \u2028 \"c\"", ReplyTo: 1,
		AcceptedAt: "2026-11-25T08:00:00.000Z", User: "u2", Action: "added", Role: "member", Title: "t", Kind: "group", Members: []string{"u1", "u2"},
	}
	receipt := Receipt{Conversation: "c1", User: "u2", Delivered: 3, Read: 2, DeliveredAt: "d", ReadAt: "r"}
	h := &History{
		Run:   Run{Seed: 7, Servers: "two", Started: "s", Epochs: []Epoch{{1, "k7q"}}, Faults: []Fault{{1, 2, "SIGKILL"}}},
		Users: []User{{"u1", "ann", true}, {"u2", "bob", false}},
		Conversations: []Conversation{{
			ID: "c1", Kind: "group", History: "all", Reader: "u1", ReadAt: 9, Log: []Event{event, event},
			Members: []Member{{"u1", "owner", 1}}, Receipts: []Receipt{receipt},
		}},
		Operations: []Operation{{
			Kind: Send, Client: "a", User: "u1", Node: "n", Begin: 1, End: 2, Outcome: OK, Status: 201, Code: "x", Conversation: "c1", ClientID: "m-1",
			Text: "t", ReplyTo: 1, Seq: 2, AcceptedAt: "at", Members: []string{"u2"}, Events: []Event{event}, Delivered: map[string]int64{"c1": 1},
			Read: map[string]int64{"c1": 1}, State: &View{1, 2, 3, 4, 5}, Receipts: []Receipt{receipt},
		}},
		Readers: []Reader{{
			ID: "r1", Client: "b", User: "u2", Form: InboxPoll, Conversation: "c1", Begin: 4,
			Start: Start{From: FromReader, After: 1, Snapshot: map[string]int64{"c1": 2}, Reader: "r0", Steps: 3},
			Steps: []Step{{At: 5, Event: &event}, {At: 6, Receipt: &receipt}, {At: 7, Request: &Request{2, true, "n", "6-abc"}}, {At: 8, Ending: &Ending{"cursor_reset"}}}, Complete: true, ReceiptsComplete: true,
		}},
	}
	everyFieldSet(t, reflect.ValueOf(*h), "History")
	return h
}

// everyFieldSet fails where full forgets a field; of a slice one element must have it.
func everyFieldSet(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Type() == reflect.TypeFor[Step]() && v.Field(i).IsZero() {
				continue // a Step is one of several things
			}
			everyFieldSet(t, v.Field(i), path+"."+name)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
			return
		}
		everyFieldSet(t, v.Index(0), path)
	case reflect.Pointer:
		everyFieldSet(t, v.Elem(), path)
	default:
		if v.IsZero() {
			t.Errorf("%s is not set", path)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	h := full(t)
	dir := filepath.Join(t.TempDir(), "made")
	for range 2 { // the second replaces the first
		if err := h.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, h) {
		t.Errorf("loaded\n%+v\nwant\n%+v", got, h)
	}
	lines, err := os.ReadFile(filepath.Join(dir, stepsFile))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "\n"); n != 4 {
		t.Errorf("%d lines of steps, want one for each of 4:\n%s", n, lines)
	}
	if !strings.Contains(string(lines), `a <b> &`) {
		t.Errorf("texts are not readable:\n%s", lines)
	}
}

func TestLoadRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, broken := range map[string]struct{ file, line string }{
		"an unknown field":        {operationsFile, `{"kind":"send","colour":"red"}`},
		"a step of no reader":     {stepsFile, `{"reader":"nobody","at":1}`},
		"an event of no log":      {logFile, `{"conversation":"nowhere","seq":1,"type":"message"}`},
		"a line that was cut off": {usersFile, `{"id":"u1","han`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := full(t).Save(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, broken.file), []byte(broken.line), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), broken.file) {
				t.Errorf("Load: %v, want an error that names %s", err, broken.file)
			}
		})
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty directory is loaded")
	}
}

func TestDigest(t *testing.T) {
	short, long := strings.Repeat("a", 80), strings.Repeat("a", 81)
	if Digest(short) != short {
		t.Error("a short text is changed")
	}
	if got := Digest(long); len(got) > 80 || got == Digest(long+"a") || got != Digest(long) {
		t.Errorf("Digest of a long text is %q", got)
	}
}

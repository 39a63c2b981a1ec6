package chat

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func waiting(o *Outbox) []string {
	var ids []string
	for _, e := range o.Entries() {
		ids = append(ids, e.ClientID)
	}
	return ids
}

func open(t *testing.T, path string) *Outbox {
	t.Helper()
	o, err := OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() }) // some were closed by the test
	return o
}

// Promise 1, at every byte where a crash may have cut the file.
func TestTheOutboxAfterACut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "outbox")
	o := open(t, path)
	var sizes []int64
	for _, id := range []string{"a", "b", "c"} {
		if err := o.Add(Entry{ClientID: id, Text: "\n"}); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, o.size)
	}
	if err := o.Done("a"); err != nil {
		t.Fatal(err)
	}
	sizes = append(sizes, o.size)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		want := [][]string{nil, {"a"}, {"a", "b"}, {"a", "b", "c"}, {"b", "c"}}[len(sizes)-len(slices.DeleteFunc(slices.Clone(sizes), func(s int64) bool { return s <= int64(cut) }))]
		path := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		o := open(t, path)
		if got := waiting(o); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q instead of %q", cut, got, want)
		}
		if err := o.Add(Entry{ClientID: "d"}); err != nil {
			t.Fatal(err)
		}
		if got := waiting(open(t, path)); !slices.Equal(got, append(slices.Clone(want), "d")) {
			t.Fatalf("cut at %d, then added to: %q", cut, got)
		}
	}
}

func TestAnEmptyOutboxKeepsNoText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "outbox")
	o := open(t, path)
	for _, id := range []string{"a", "b"} {
		if err := o.Add(Entry{ClientID: id, Text: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b"} {
		if err := o.Done(id); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadFile(path); err != nil || len(left) > 0 {
		t.Errorf("%q is left: %v", left, err)
	}
}

func TestADamagedOutboxIsNotThrownAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "outbox")
	if err := os.WriteFile(path, []byte("what is this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(path); err == nil {
		t.Error("it was opened")
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != "what is this\n" {
		t.Errorf("%q is left: %v", left, err)
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, ünïcode 日本":         "plain, ünïcode 日本",
		"👩‍👩‍👧 🇩🇪 👍🏽":               "👩‍👩‍👧 🇩🇪 👍🏽",
		"\x1b[2J\x07":               `\u001b[2J\u0007`,
		"a\u009bb\u0085":            `a\u009bb\u0085`,
		"line\nline\r\ttab":         `line\nline\u000d\ttab`,
		"\u202eevil\u2066\u2028":    `\u202eevil\u2066\u2028`,
		"\U000e0001tag\ufeff\ue000": `\U000e0001tag\ufeff\ue000`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q is shown as %s instead of %s", in, got, want)
		}
	}
}

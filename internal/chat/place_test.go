package chat

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A power cut takes what was not synced: of the file that means what was written within a second after it was replaced. Whatever of that is
// left, or spoilt, there is a place, and none from before.
func TestAPowerCutLeavesAPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "place")
	p, err := loadPlace(path, "a", "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close() //nolint:errcheck // the test is over
	now := time.Now()
	save := func(after time.Duration, seq int64) []byte {
		t.Helper()
		p.reach("", seq, fmt.Sprint("cursor", seq))
		if err := p.save(now.Add(after)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	synced := save(0, 1)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for seq := range int64(4) {
		all = save(time.Duration(seq)*200*time.Millisecond, seq+2)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || !bytes.HasPrefix(all, synced) {
		t.Fatalf("what was synced was replaced by what was not: %v, %q", err, all)
	}
	spoilt := filepath.Join(t.TempDir(), "spoilt")
	last := "cursor1"
	for cut := len(synced); cut <= len(all); cut++ {
		for _, tail := range []string{strings.Repeat("\x00", len(all)-cut), ""} {
			if err := os.WriteFile(spoilt, []byte(string(all[:cut])+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := loadPlace(spoilt, "a", "", false)
			if err != nil || got.Cursor < last {
				t.Fatalf("cut at %d of %q: %v, %+v after %s", cut, all, err, got, last)
			}
			if tail == "" {
				last = got.Cursor
			}
		}
	}
	if last != "cursor5" {
		t.Errorf("the last place is %s", last)
	}
	if again := save(time.Second, 6); bytes.Count(again, []byte{'\n'}) != 1 {
		t.Errorf("a second later the file holds %q", again)
	}
	for seq := range int64(20000) {
		p.reach("", seq, fmt.Sprint("cursor", seq))
		if err := p.save(now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > maxAppends {
		t.Errorf("%v, %+v", err, info)
	}
}

// A file without any place says what to do, and stays as it is.
func TestAFileWithoutAPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "place")
	for _, content := range []string{"", "\n", "\x00\x00\x00", `{"account":"a"`, "{}\n", `{"account":"a"}`, "cursor\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadPlace(path, "a", "", false)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "Remove it to begin") {
			t.Errorf("%q: %v", content, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != content {
			t.Errorf("%q has become %q, %v", content, now, err)
		}
	}
	if _, err := loadPlace(filepath.Join(t.TempDir(), "none"), "a", "", false); err != nil {
		t.Error(err)
	}
}

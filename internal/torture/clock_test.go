package torture

import (
	"path/filepath"
	"testing"
	"time"
)

func TestAClockIsSetForAllWhoHaveItOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	open := func() *Clock {
		c, err := OpenClock(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	near := func(c *Clock, ahead time.Duration) {
		t.Helper()
		before := time.Now().Round(0)
		now := c.Now().Add(-ahead)
		if after := time.Now().Round(0); now.Before(before) || now.After(after) {
			t.Errorf("set to %v, it is %v, between %v and %v", ahead, now, before, after)
		}
	}
	one, other := open(), open()
	near(one, 0)
	one.Set(-3 * time.Hour)
	near(other, -3*time.Hour)
	other.Set(time.Minute)
	near(one, time.Minute)
	near(open(), time.Minute) // after a restart too
}

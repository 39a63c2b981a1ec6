package foreign

import (
	"net/http"
	"testing"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// An EventSource that comes back while the database is gone must come again:
// for any status but 200 it would give up for good, and its reader would have
// to notice.
func TestNodeOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	database := testdb.Cluster(t)
	w := newWorldOn(t, database.URL("postgres"), "--heartbeat=200ms", "--sweep=100ms")
	w.say(shortTexts...)
	s := &eventSource{w: w, said: node(t, "stream.mjs", w.cutter.base("")+w.path()+"?ticket="+w.ticket())}
	s.until(1 + len(shortTexts))

	client := w.server.Client()
	database.Immediate()
	harness.Eventually(t, "readiness is withdrawn", func() bool {
		a, err := client.Call(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && a.Status == http.StatusServiceUnavailable
	})
	w.cutter.cutNow()
	for s.opened < 2 {
		s.step()
	}
	for beat := (*heartbeat)(nil); beat == nil || beat.LastSeq != nil; {
		beat = s.step() // without last_seq: the server cannot tell
	}
	database.Start()
	const text = "after the outage"
	harness.Eventually(t, "a send is accepted", func() bool {
		e, a, err := w.ann.Send(t.Context(), w.conversation, "again", text)
		w.texts[e.Seq] = text
		return err == nil && a.Status < http.StatusMultipleChoices
	})
	log := w.log(w.bob)
	s.until(len(log))
	w.check(s.got, log)
}

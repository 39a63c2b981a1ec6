package api

import "testing"

// Any site can have a browser ask for an address with the cookie, and every
// member of a conversation knows its cursors: only a page of this server, or one
// that has the form token, says that something has arrived.
func TestOtherSitesCannotAcknowledgeByTheCookie(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUpPage("bob", nil)
	c := w.group(ann, "bob").Id
	cursors := []string{}
	for n := range 6 {
		w.send(ann, c, string(rune('a'+n)), "hello")
		cursors = append(cursors, w.events(ann, c, "?after=1").Cursor)
	}
	get := func(path string, header ...string) {
		t.Helper()
		w.must(200, request{method: "GET", path: path, header: bob.from(header...)}, nil)
	}
	delivered := func() (n int64) {
		t.Helper()
		var v Conversation
		w.must(200, request{method: "GET", path: "/v1/conversations/" + c, header: bob.from()}, &v)
		return v.DeliveredSeq
	}
	events := "/v1/conversations/" + c + "/events?after="
	get(events + cursors[5])
	get(events+cursors[5], "Referer", "https://elsewhere.example/")
	get(events+cursors[5]+"&wait=1", "Origin", "https://elsewhere.example")
	bob.follow("Referer", "https://elsewhere.example/")
	// What was noted is written in order, so what comes last tells of the rest.
	for n, header := range [][]string{{"Origin", w.url}, {"Referer", w.url + "/legacy"}, {formTokenHeader, bob.form}} {
		get(events+cursors[n], header...)
		want := int64(n + 2)
		eventually(t, "the acknowledgement of an own page", func() bool { return delivered() >= want })
		if got := delivered(); got != want {
			t.Fatalf("%v: delivered to %d, want %d", header, got, want)
		}
	}
	bob.follow("Referer", w.url+"/legacy")
	eventually(t, "the acknowledgement by the inbox", func() bool { return delivered() == 7 })
}

// follow reads an inbox to its end, handing every cursor back.
func (p *page) follow(header ...string) {
	p.t.Helper()
	for query, more := "?from=start", true; more; {
		var got InboxPage
		p.must(200, request{method: "GET", path: "/v1/inbox" + query, header: p.from(header...)}, &got)
		query, more = "?cursor="+got.Cursor, got.More || len(got.Events) > 0
	}
}

// A page whose tab was left behind, while another one signed in as somebody
// else, is not shown the other's conversations under the first one's name.
func TestAPageOfAnEarlierSessionReadsNothing(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUpPage("ann", nil), w.signUpPage("bob", nil)
	for _, path := range []string{"/v1/me", "/v1/inbox", "/v1/inbox?wait=20", "/v1/conversations"} {
		read := request{method: "GET", path: path, header: bob.from(formTokenHeader, ann.form, "Referer", w.url+"/legacy")}
		w.refused(read, 401, "unauthorized", "")
		read.header[formTokenHeader] = bob.form
		w.must(200, read, nil)
	}
}

package pages

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver of the server's database

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// History comes page by page, a group by its ticks; and after the database was
// restored, which makes every cursor void, the page draws all anew.
func TestLegacyHistoryAndRestore(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	bob, cleo := server.SignUp("bob"), server.SignUp("cleo")
	ann.Start("bob, cleo", "Allotment")
	ann.Until("the group", Shows("title", "Allotment"))
	group := ann.Text("location.hash")[len("#c="):]
	const many = 70
	for i := range many {
		bob.MustSend(group, fmt.Sprint(i), fmt.Sprintf("message %02d.", i))
	}
	ann.Until("live", Shows("messages", "message 69."))
	ann.Reload()
	ann.Until("the newest", Shows("messages", "message 69.")+" && !("+Shows("messages", "message 39.")+")")
	for _, oldest := range []string{"message 10.", "message 00."} {
		ann.Reach(El("older"))
		ann.Press("Enter")
		ann.Until("older ones", Shows("messages", oldest))
	}
	ann.Until("no more of them", "!("+Visible("older")+")")
	texts := rows(ann)
	if len(texts) != 1+many || !strings.Contains(texts[0], "made the group") {
		t.Fatalf("%d lines are shown, the first is %s", len(texts), texts[0])
	}
	for i, text := range texts[1:] {
		if !strings.Contains(text, fmt.Sprintf("message %02d.", i)) {
			t.Errorf("at %d: %s", i, text)
		}
	}

	ann.Say("to both")
	ann.Until("accepted", Shows("messages", "accepted"))
	last := bob.AllEvents(group)
	seq := last[len(last)-1].Seq
	bob.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int64{group: seq}}, nil)
	ann.Until("read by one of two", Shows("messages", "read 1/2"))
	cleo.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int64{group: seq}}, nil)
	ann.Until("read by both", Shows("messages", "read 2/2"))

	// What a restore does: the database begins another life.
	server.Kill()
	db, err := sql.Open("sqlite", strings.TrimPrefix(server.Database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE meta SET value = 'zzzzzz' WHERE key = 'epoch'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	server = server.Again()
	bob = bob.At(server)
	bob.MustSend(group, "after", "after the restore")
	ann.Until("drawn anew, once", Shows("messages", "after the restore")+" && "+El("messages")+".innerText.split('to both').length == 2")
	bob.MustSend(group, "live", "and live")
	ann.Until("live again", Shows("messages", "and live"))

	// One that we leave goes from the list.
	server.SignIn("ann", harness.Password).Must(200, "DELETE", "/v1/conversations/"+group+"/members/me", nil, nil)
	ann.Until("gone", Shows("state", "no longer")+" && !("+Shows("list", "Allotment")+")")
}

// The page's own JSON is what RFC 8259 says: nothing less, nothing more.
func TestLegacyJSON(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../web/legacy/json.js")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := browser.NewProfile(t, Old(false)).Open("about:blank")
	if err := b.Eval("window.both = (function () {"+string(source)+"return {read: fromJSON, write: toJSON};})()", nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{}`, `[]`, ` { "a" : [ 1 , -0.5e+10 , true , false , null , "x" ] , "b" : { } } `, `"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`, `"é😀` + "\u2028" + `"`,
		`0`, `-0.5`, `12.25`, `1E5`, `[[[[[1]]]]]`, `{"a":1,"a":2}`, `{"":""}`, `9007199254740991`, "\t[\r\n1 ]", `"` + strings.Repeat("long ", 5000) + `"`,
	} {
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		// Through both: what is read is written, and read here.
		var again string
		if err := b.Eval("both.write(both.read("+browser.Quoted(text)+"))", &again); err != nil {
			t.Errorf("%.60s: %v", text, err)
			continue
		}
		if err := json.Unmarshal([]byte(again), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%.60s became %.60s, %v", text, again, err)
		}
		if strings.ContainsFunc(again, func(r rune) bool { return r > 0x7e || r < ' ' }) {
			t.Errorf("%s is not ASCII", again)
		}
	}
	for _, text := range []string{
		``, ` `, `{`, `}`, `[`, `[1`, `[1,]`, `[,1]`, `{"a":1,}`, `{a:1}`, `{'a':1}`, `{"a" 1}`, `{"a":}`, `"a`, `"\x41"`, `"\u12g4"`, `"\u12"`, "\"a\nb\"", "\"\t\"",
		`01`, `+1`, `.5`, `1.`, `1e`, `- 1`, `NaN`, `Infinity`, `undefined`, `True`, `nul`, `1 2`, `{}{}`, `[1 2]`, `//`, `/**/1`, `alert(1)`, `(1)`, `"a"+"b"`, "\u00a01", `\u0031`, `"\`,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
	} {
		if err := b.Eval("both.read("+browser.Quoted(text)+")", nil); err == nil || !strings.Contains(err.Error(), "not JSON") {
			t.Errorf("%.60q is taken for JSON: %v", text, err)
		}
	}
	var none bool
	if err := b.Eval("both.read('{\"__proto__\":{\"polluted\":true}}').polluted === undefined || ({}).polluted === undefined", &none); err != nil || !none {
		t.Errorf("objects are polluted: %v", err)
	}
}

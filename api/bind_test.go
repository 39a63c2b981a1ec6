package api

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"holdline"
	"holdline/store"
)

func loadOperations(t testing.TB) map[string]*operation {
	t.Helper()
	operations, err := loadContract(holdline.OpenAPI)
	must(t, err)
	return operations
}

// The three ways of writing one body must mean the same.
func TestFormsMeanWhatJSONMeans(t *testing.T) {
	operations := loadOperations(t)
	for _, test := range []struct{ operation, form, json string }{
		{"sendMessage", "client_id=m-1&text=a+b%26c&reply_to=2", `{"client_id":"m-1","text":"a b&c","reply_to":2}`},
		{"sendMessage", "client_id=m-1&text=%C3%A9%0D%0A%F0%9F%98%80&reply_to=", `{"client_id":"m-1","text":"é\r\n😀"}`},
		{"createConversation", "kind=group&members=ann&members=bob&title=", `{"kind":"group","members":["ann","bob"]}`},
		{"createConversation", "kind=direct&members=ann", `{"kind":"direct","members":["ann"]}`},
		{"acknowledge", "read[4Jx0aQ7bTz1]=7&delivered%5B4Jx0aQ7bTz1%5D=9&read[00000000001]=0", `{"read":{"4Jx0aQ7bTz1":7,"00000000001":0},"delivered":{"4Jx0aQ7bTz1":9}}`},
		{"updateConversation", "title=", `{"title":""}`},
		{"createTicket", "", `{}`},
	} {
		r := operations[test.operation].body
		got, err := formJSON(r, []byte(test.form))
		if err != nil {
			t.Errorf("%s: %v", test.form, err)
			continue
		}
		if err := r.json(got); err != nil {
			t.Errorf("%s became %s, which is refused: %v", test.form, got, err)
		}
		if canonical(t, got) != canonical(t, []byte(test.json)) {
			t.Errorf("%s became %s, want %s", test.form, got, test.json)
		}
	}
}

func canonical(t testing.TB, text []byte) string {
	t.Helper()
	var v any
	must(t, json.Unmarshal(text, &v))
	out, err := json.Marshal(v, json.Deterministic(true))
	must(t, err)
	return string(out)
}

// The bounds of the contract and those that the store keeps are the same.
func TestContractAndStoreAgree(t *testing.T) {
	operations := loadOperations(t)
	field := func(operation string, names ...string) *rule {
		r := operations[operation].body
		for _, name := range names {
			if r = r.properties[name]; r == nil {
				t.Fatalf("%s has no %v", operation, names)
			}
		}
		return r
	}
	for what, pair := range map[string][2]int{
		"text":         {field("sendMessage", "text").maxLength, store.MaxTextBytes},
		"client_id":    {field("sendMessage", "client_id").maxLength, store.MaxClientIDChars},
		"title":        {field("createConversation", "title").maxLength, store.MaxTitleChars},
		"members":      {field("createConversation", "members").maxItems, store.MaxMembersAtOnce},
		"more members": {field("addMembers", "members").maxItems, store.MaxMembersAtOnce},
		"handle":       {field("createUser", "handle").maxLength, store.MaxHandleChars},
		"short handle": {field("createUser", "handle").minLength, store.MinHandleChars},
		"display_name": {field("createUser", "display_name").maxLength, store.MaxDisplayNameChars},
		"device_name":  {field("createSession", "device_name").maxLength, store.MaxDeviceNameChars},
		"acks":         {field("acknowledge", "read").maxValues, store.MaxAcksAtOnce},
		"password":     {field("createUser", "password").maxLength, MaxPasswordBytes},
		"limit":        {int(operations["listEvents"].query["limit"].max), MaxPageLimit},
		"wait":         {int(operations["listEvents"].query["wait"].max), int(MaxWait.Seconds())},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d in the contract, %d in the code", what, pair[0], pair[1])
		}
	}
	for id, op := range operations {
		stream := id == "streamEvents" || id == "streamInbox"
		if stream != op.stream || (stream || id == "listEvents" || id == "getInbox") != op.held {
			t.Errorf("%s: stream %v, held %v", id, op.stream, op.held)
		}
	}
}

// FuzzBind reads bodies as JSON and as forms. What is taken must keep every
// promise: no NUL, valid UTF-8, nothing null, and the same meaning to a second
// decoder that knows nothing of the contract.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{
		`{"client_id":"m-1","text":"hello","reply_to":2}`, `{"client_id":"m-1","text":"\ud83d\ude00"}`, `{"client_id":"m-1","text":"\ud800"}`,
		`{"text":"a\u0000b","client_id":"x"}`, `{"text":null}`, `{"Text":"x"}`, `{"text":"x","text":"y"}`, `{"client_id":"m","text":"x"} {}`, `[]`, `"`,
		`client_id=m-1&text=hello`, `client_id=m&text=%ff`, `client_id=m&text=a;b`, `text[x]=1`, `client_id=m&client_id=n&text=x`, `{"client_id":"\u00e9","text":"x"}`,
		" \t{\"client_id\":\"m\",\n\"text\":\"\xe2\x80\xa8\"}", `{"client_id":"m","text":"x","reply_to":1e5}`, `{"client_id":"m","text":"x","reply_to":-0}`,
	} {
		f.Add([]byte(seed))
	}
	send := loadOperations(f)["sendMessage"].body
	f.Fuzz(func(t *testing.T, body []byte) {
		var fromJSON, fromForm NewMessage
		if err := decode(send, body, &fromJSON); err == nil {
			checkTaken(t, fromJSON)
			var second map[string]any
			if err := json.Unmarshal(body, &second); err != nil {
				t.Fatalf("taken, though no JSON: %v", err)
			}
			if second["text"] != fromJSON.Text || second["client_id"] != fromJSON.ClientId {
				t.Fatalf("read as %+v, means %v", fromJSON, second)
			}
		} else {
			checkRefused(t, err)
		}
		written, err := formJSON(send, body)
		if err != nil {
			checkRefused(t, err)
			return
		}
		if err := decode(send, written, &fromForm); err != nil {
			checkRefused(t, err)
			return
		}
		checkTaken(t, fromForm)
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("text") != fromForm.Text || form.Get("client_id") != fromForm.ClientId {
			t.Fatalf("read as %+v, means %v (%v)", fromForm, form, err)
		}
	})
}

func checkTaken(t *testing.T, m NewMessage) {
	t.Helper()
	for _, s := range []string{m.ClientId, m.Text, m.AccessToken} {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			t.Fatalf("taken: %q", s)
		}
	}
	if m.Text == "" || m.ClientId == "" || len(m.ClientId) > store.MaxClientIDChars || m.ReplyTo < 0 {
		t.Fatalf("taken: %+v", m)
	}
}

// checkRefused makes sure that bad input is the sender's fault, told in words
// that can be sent back.
func checkRefused(t *testing.T, err error) {
	t.Helper()
	p := problemOf(err)
	if p.Status != 400 || !utf8.ValidString(p.Detail) || !utf8.ValidString(p.Field) {
		t.Fatalf("refused with %+v: %v", p, err)
	}
	if _, err := json.Marshal(&p); err != nil {
		t.Fatalf("%+v cannot be sent: %v", p, err)
	}
}

// FuzzQuery reads query strings: none may be dropped in part.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"after=1&limit=2", "after=1%zz", "after=1;limit=2", "limit=1&limit=2", "t=1&t=2", "=", "&&", "after", "%61fter=1", "ticket=x&after=5-k7q"} {
		f.Add(seed)
	}
	op := loadOperations(f)["listEvents"]
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := parseQuery(raw)
		if err == nil {
			err = op.checkQuery(query)
		}
		if err != nil {
			checkRefused(t, err)
			return
		}
		for name, values := range query {
			if name != "t" && name != "ticket" && len(values) != 1 {
				t.Fatalf("%s was taken %d times", name, len(values))
			}
		}
		if strings.Contains(raw, ";") {
			t.Fatalf("%q was taken", raw)
		}
	})
}

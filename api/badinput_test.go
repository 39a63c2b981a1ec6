package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"holdline/store"
)

// TestBadInput refuses each kind of bad input with its own problem. What the
// transport adds: every answer is one of the contract's.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	eve := w.signUp("eve")
	theirs := w.group(ann, "bob")
	w.send(ann, theirs.Id, "m-1", "hello")
	messages := "/v1/conversations/" + theirs.Id + "/messages"
	send := func(body any) request {
		return request{method: "POST", path: messages, token: ann.Token, body: body}
	}
	get := func(path string) request { return request{method: "GET", path: path, token: ann.Token} }
	text := func(text string) any { return map[string]any{"client_id": "m-2", "text": text} }
	create := func(body any) request {
		return request{method: "POST", path: "/v1/conversations", token: ann.Token, body: body}
	}
	many := make([]string, store.MaxMembersAtOnce+1)
	for i := range many {
		many[i] = fmt.Sprintf("user%d", i)
	}
	own := w.group(ann)
	ours := w.inbox(ann, "").Cursor
	wrongToken, _ := newToken(store.NewID())
	rightUser, _ := newToken(mustID(t, ann.User.Id))

	for name, test := range map[string]struct {
		request
		status int
		code   string
		field  string
	}{
		"no token":                         {request{method: "GET", path: "/v1/me"}, 401, "unauthorized", ""},
		"no token, sending":                {request{method: "POST", path: messages, body: text("x")}, 401, "unauthorized", ""},
		"no token, no such conversation":   {request{method: "GET", path: "/v1/conversations/00000000001"}, 401, "unauthorized", ""},
		"no token, malformed id":           {request{method: "GET", path: "/v1/conversations/x"}, 401, "unauthorized", ""},
		"no token, bad query":              {request{method: "GET", path: "/v1/conversations?limit=0"}, 401, "unauthorized", ""},
		"token of nobody":                  {request{method: "GET", path: "/v1/me", token: wrongToken}, 401, "unauthorized", ""},
		"token with a wrong secret":        {request{method: "GET", path: "/v1/me", token: rightUser}, 401, "unauthorized", ""},
		"token cut short":                  {request{method: "GET", path: "/v1/me", token: ann.Token[:20]}, 401, "unauthorized", ""},
		"token with something after it":    {request{method: "GET", path: "/v1/me", token: ann.Token + "x"}, 401, "unauthorized", ""},
		"another scheme":                   {request{method: "GET", path: "/v1/me", header: map[string]string{"Authorization": "Basic YW5uOmI="}}, 401, "unauthorized", ""},
		"access_token that is not one":     {request{method: "POST", path: "/v1/tickets", body: `{"access_token":"x"}`}, 401, "unauthorized", ""},
		"ticket that is not one":           {request{method: "GET", path: "/v1/me?ticket=x"}, 401, "unauthorized", ""},
		"ticket where a token is needed":   {request{method: "POST", path: "/v1/tickets?ticket=x"}, 401, "unauthorized", ""},
		"somebody else's conversation":     {request{method: "GET", path: "/v1/conversations/" + theirs.Id, token: eve.Token}, 404, "not_found", ""},
		"somebody else's messages":         {request{method: "GET", path: messages, token: eve.Token}, 404, "not_found", ""},
		"somebody else's message":          {request{method: "GET", path: messages + "/2", token: eve.Token}, 404, "not_found", ""},
		"somebody else's receipts":         {request{method: "GET", path: messages + "/2/receipts", token: eve.Token}, 404, "not_found", ""},
		"somebody else's members":          {request{method: "GET", path: "/v1/conversations/" + theirs.Id + "/members", token: eve.Token}, 404, "not_found", ""},
		"sending to somebody else's":       {request{method: "POST", path: messages, token: eve.Token, body: text("x")}, 404, "not_found", ""},
		"no such conversation":             {get("/v1/conversations/00000000001"), 404, "not_found", ""},
		"malformed conversation":           {get("/v1/conversations/x"), 404, "not_found", ""},
		"conversation beyond 63 bits":      {get("/v1/conversations/zzzzzzzzzzz"), 404, "not_found", ""},
		"escaped conversation":             {get("/v1/conversations/..%2f..%2fx"), 404, "not_found", ""},
		"malformed seq":                    {get(messages + "/x"), 404, "not_found", ""},
		"seq 0":                            {get(messages + "/0"), 404, "not_found", ""},
		"seq that is no message":           {get(messages + "/1"), 404, "not_found", ""},
		"seq beyond the end":               {get(messages + "/99"), 404, "not_found", ""},
		"no such user":                     {get("/v1/users/00000000001"), 404, "not_found", ""},
		"malformed user":                   {get("/v1/users/x"), 404, "not_found", ""},
		"no such session":                  {request{method: "DELETE", path: "/v1/sessions/00000000001", token: ann.Token}, 404, "not_found", ""},
		"no such address":                  {get("/v1/nothing"), 404, "not_found", ""},
		"slash at the end":                 {get("/v1/me/"), 404, "not_found", ""},
		"no such method":                   {request{method: "PUT", path: "/v1/me", token: ann.Token}, 405, "method_not_allowed", ""},
		"envelope 2":                       {get("/v1/me?envelope=2"), 400, "invalid", "envelope"},
		"envelope twice":                   {get("/v1/me?envelope=1&envelope=1"), 400, "invalid", "envelope"},
		"envelope of a document":           {get("/openapi.yaml?envelope=0"), 400, "invalid", "envelope"},
		"envelope of a stream":             {get("/v1/inbox/stream?envelope=0"), 400, "invalid", "envelope"},
		"max_bytes too small":              {get("/v1/inbox?max_bytes=639"), 400, "invalid", "max_bytes"},
		"max_bytes too large":              {get(messages + "?max_bytes=1048577"), 400, "invalid", "max_bytes"},
		"max_bytes a word":                 {get("/v1/inbox/stream?max_bytes=many"), 400, "invalid", "max_bytes"},
		"max_bytes twice":                  {get("/v1/inbox?max_bytes=640&max_bytes=640"), 400, "invalid", "max_bytes"},
		"max_bytes of one message":         {get(messages + "/2?max_bytes=1000"), 400, "invalid", "max_bytes"},
		"coalesce over a minute":           {get("/v1/inbox?wait=1&coalesce=61"), 400, "invalid", "coalesce"},
		"coalesce negative":                {get("/v1/inbox/stream?coalesce=-1"), 400, "invalid", "coalesce"},
		"coalesce a fraction":              {get("/v1/inbox?wait=1&coalesce=0.5"), 400, "invalid", "coalesce"},
		"coalesce twice":                   {get("/v1/inbox?wait=1&coalesce=1&coalesce=2"), 400, "invalid", "coalesce"},
		"coalesce without wait":            {get("/v1/conversations/" + theirs.Id + "/events?coalesce=1"), 400, "invalid", "coalesce"},
		"coalesce of an inbox, no wait":    {get("/v1/inbox?coalesce=1"), 400, "invalid", "coalesce"},
		"coalesce going back":              {get("/v1/conversations/" + theirs.Id + "/events?before=2&coalesce=1"), 400, "invalid", "before"},
		"coalesce of messages":             {get(messages + "?coalesce=1"), 400, "invalid", "coalesce"},
		"pad of a page":                    {get("/v1/inbox?pad=1"), 400, "invalid", "pad"},
		"pad over 16 KiB":                  {get("/v1/inbox/stream?pad=16385"), 400, "invalid", "pad"},
		"pad a word":                       {get("/v1/inbox/stream?pad=x"), 400, "invalid", "pad"},
		"pad twice":                        {get("/v1/inbox/stream?pad=1&pad=1"), 400, "invalid", "pad"},
		"nudge of a page":                  {get("/v1/inbox?nudge=1"), 400, "invalid", "nudge"},
		"nudge 2":                          {get("/v1/inbox/stream?nudge=2"), 400, "invalid", "nudge"},
		"nudge twice":                      {get("/v1/inbox/stream?nudge=1&nudge=1"), 400, "invalid", "nudge"},
		"compact 2":                        {get("/v1/inbox?compact=2"), 400, "invalid", "compact"},
		"compact true":                     {get("/v1/inbox/stream?compact=true"), 400, "invalid", "compact"},
		"compact twice":                    {get("/v1/inbox?compact=1&compact=0"), 400, "invalid", "compact"},
		"compact of messages":              {get(messages + "?compact=1"), 400, "invalid", "compact"},
		"method on a GET":                  {get("/v1/me?method=PATCH"), 400, "invalid", "method"},
		"method on a PATCH":                {request{method: "PATCH", path: "/v1/me?method=PATCH", token: ann.Token, body: `{"read_receipts":false}`}, 400, "invalid", "method"},
		"method unknown":                   {request{method: "POST", path: "/v1/tickets?method=GET", token: ann.Token}, 400, "invalid", "method"},
		"method twice":                     {request{method: "POST", path: "/v1/tickets?method=PATCH&method=DELETE", token: ann.Token}, 400, "invalid", "method"},
		"method that is not there":         {request{method: "POST", path: "/v1/tickets?method=PUT", token: ann.Token}, 405, "method_not_allowed", ""},
		"method with more than a token":    {request{method: "POST", path: "/v1/sessions/current?method=DELETE", body: `{"access_token":"` + eve.Token + `","x":1}`}, 400, "invalid", "x"},
		"body missing":                     {send(nil), 400, "invalid", ""},
		"body not JSON":                    {send("hello"), 400, "invalid", ""},
		"body cut":                         {send(`{"client_id":"m-2","text":"x"`), 400, "invalid", "*"},
		"body no object":                   {send(`["client_id"]`), 400, "invalid", ""},
		"body null":                        {send(`null`), 400, "invalid", ""},
		"byte order mark":                  {send("\ufeff" + `{"client_id":"m-2","text":"x"}`), 400, "invalid", "*"},
		"comment":                          {send(`{"client_id":"m-2","text":"x"/**/}`), 400, "invalid", "*"},
		"unknown field":                    {send(`{"client_id":"m-2","text":"x","color":"red"}`), 400, "invalid", "color"},
		"doubled key":                      {send(`{"client_id":"m-2","text":"x","text":"y"}`), 400, "invalid", "text"},
		"doubled key, escaped":             {send(`{"client_id":"m-2","text":"x","t\u0065xt":"y"}`), 400, "invalid", "text"},
		"wrong case":                       {send(`{"client_id":"m-2","Text":"x"}`), 400, "invalid", "Text"},
		"trailing bytes":                   {send(`{"client_id":"m-2","text":"x"} x`), 400, "invalid", "*"},
		"trailing value":                   {send(`{"client_id":"m-2","text":"x"}{}`), 400, "invalid", "*"},
		"null field":                       {send(`{"client_id":"m-2","text":null}`), 400, "invalid", "text"},
		"null optional field":              {send(`{"client_id":"m-2","text":"x","reply_to":null}`), 400, "invalid", "reply_to"},
		"text missing":                     {send(`{"client_id":"m-2"}`), 400, "invalid", "text"},
		"text empty":                       {send(text("")), 400, "invalid", "text"},
		"text over 16 KiB":                 {send(text(strings.Repeat("x", store.MaxTextBytes+1))), 400, "invalid", "text"},
		"text over 16 KiB by its bytes":    {send(text(strings.Repeat("é", store.MaxTextBytes/2+1))), 400, "invalid", "text"},
		"text a number":                    {send(`{"client_id":"m-2","text":7}`), 400, "invalid", "text"},
		"text not UTF-8":                   {send("{\"client_id\":\"m-2\",\"text\":\"\xff\"}"), 400, "invalid", "*"},
		"lone surrogate":                   {send(`{"client_id":"m-2","text":"\ud800"}`), 400, "invalid", "*"},
		"lone low surrogate":               {send(`{"client_id":"m-2","text":"x\udc00"}`), 400, "invalid", "*"},
		"NUL":                              {send(`{"client_id":"m-2","text":"a\u0000b"}`), 400, "invalid", "text"},
		"NUL as it is":                     {send("{\"client_id\":\"m-2\",\"text\":\"a\x00b\"}"), 400, "invalid", "*"},
		"client_id missing":                {send(`{"text":"x"}`), 400, "invalid", "client_id"},
		"client_id empty":                  {send(`{"client_id":"","text":"x"}`), 400, "invalid", "client_id"},
		"client_id over 64":                {send(map[string]any{"client_id": strings.Repeat("x", 65), "text": "x"}), 400, "invalid", "client_id"},
		"client_id not ASCII":              {send(`{"client_id":"é","text":"x"}`), 400, "invalid", "client_id"},
		"client_id with a tab":             {send(`{"client_id":"a\tb","text":"x"}`), 400, "invalid", "client_id"},
		"client_id reused":                 {send(`{"client_id":"m-1","text":"other"}`), 409, "client_id_reused", "client_id"},
		"client_id reused, other reply_to": {send(`{"client_id":"m-1","text":"hello","reply_to":2}`), 409, "client_id_reused", "client_id"},
		"reply_to 0":                       {send(`{"client_id":"m-2","text":"x","reply_to":0}`), 400, "invalid", "reply_to"},
		"reply_to a fraction":              {send(`{"client_id":"m-2","text":"x","reply_to":1.5}`), 400, "invalid", "reply_to"},
		"reply_to with an exponent":        {send(`{"client_id":"m-2","text":"x","reply_to":1e0}`), 400, "invalid", "reply_to"},
		"reply_to over 64 bits":            {send(`{"client_id":"m-2","text":"x","reply_to":9223372036854775808}`), 400, "invalid", "reply_to"},
		"reply_to a string":                {send(`{"client_id":"m-2","text":"x","reply_to":"2"}`), 400, "invalid", "reply_to"},
		"reply_to no message":              {send(`{"client_id":"m-2","text":"x","reply_to":99}`), 400, "invalid", "reply_to"},
		"body over the limit":              {send(text(strings.Repeat("x", DefaultBodyLimit))), 413, "body_too_large", ""},
		"body of another type":             {request{method: "POST", path: messages, token: ann.Token, kind: "application/xml", body: "<x/>"}, 415, "unsupported_media_type", ""},
		"multipart":                        {request{method: "POST", path: messages, token: ann.Token, kind: "multipart/form-data; boundary=x", body: "--x--"}, 415, "unsupported_media_type", ""},
		"another charset":                  {request{method: "POST", path: messages, token: ann.Token, kind: "application/json; charset=latin1", body: `{}`}, 415, "unsupported_media_type", ""},
		"unreadable type":                  {request{method: "POST", path: messages, token: ann.Token, kind: "/;;", body: `{}`}, 415, "unsupported_media_type", ""},
		"compressed body":                  {request{method: "POST", path: messages, token: ann.Token, body: "x", header: map[string]string{"Content-Encoding": "gzip"}}, 415, "unsupported_media_type", ""},
		"JSON as a form":                   {request{method: "POST", path: messages, token: ann.Token, kind: "application/x-www-form-urlencoded", body: `{"client_id":"m-2","text":"x"}`}, 400, "invalid", ""},
		"form with an unknown field":       {send(url.Values{"client_id": {"m-2"}, "text": {"x"}, "color": {"red"}}), 400, "invalid", "color"},
		"form with a doubled field":        {send(url.Values{"client_id": {"m-2"}, "text": {"x", "y"}}), 400, "invalid", "text"},
		"form with a word for a number":    {send(url.Values{"client_id": {"m-2"}, "text": {"x"}, "reply_to": {"two"}}), 400, "invalid", "reply_to"},
		"form not UTF-8":                   {request{method: "POST", path: messages, token: ann.Token, kind: "application/x-www-form-urlencoded", body: "client_id=m-2&text=%ff"}, 400, "invalid", "text"},
		"form with NUL":                    {send(url.Values{"client_id": {"m-2"}, "text": {"a\x00b"}}), 400, "invalid", "text"},
		"form with a name not UTF-8":       {request{method: "POST", path: messages, token: ann.Token, kind: "application/x-www-form-urlencoded", body: "%e8=1"}, 400, "invalid", "\uFFFD"},
		"form with a long name":            {request{method: "POST", path: "/v1/acks", token: ann.Token, kind: "application/x-www-form-urlencoded", body: "read[" + strings.Repeat("x", 9999) + "]=x"}, 400, "invalid", "*"},
		"parameter not UTF-8":              {get(messages + "?%e8=1"), 400, "invalid", "\uFFFD"},
		"map key too long":                 {request{method: "POST", path: "/v1/acks", token: ann.Token, body: `{"read":{"` + strings.Repeat("x", 9999) + `":"x"}}`}, 400, "invalid", "*"},
		"form badly escaped":               {request{method: "POST", path: messages, token: ann.Token, kind: "application/x-www-form-urlencoded", body: "client_id=m-2&text=%zz"}, 400, "invalid", ""},
		"form without text":                {send(url.Values{"client_id": {"m-2"}}), 400, "invalid", "text"},
		"form with text empty":             {send(url.Values{"client_id": {"m-2"}, "text": {""}}), 400, "invalid", "text"},
		"form with a map that is none":     {send(url.Values{"client_id": {"m-2"}, "text[x]": {"y"}}), 400, "invalid", "text[x]"},
		"unknown field, long":              {send(`{"` + strings.Repeat("x", 9999) + `":1}`), 400, "invalid", "*"},
		"lone surrogate in a long string":  {send(`{"client_id":"` + strings.Repeat("x", 9999) + `\ud800"}`), 400, "invalid", "client_id"},
		"unknown parameter":                {get(messages + "?color=red"), 400, "invalid", "color"},
		"doubled parameter":                {get(messages + "?limit=1&limit=2"), 400, "invalid", "limit"},
		"badly escaped query":              {get(messages + "?after=1%zz"), 400, "invalid", ""},
		"semicolon in the query":           {get(messages + "?after=1;limit=2"), 400, "invalid", ""},
		"limit 0":                          {get(messages + "?limit=0"), 400, "invalid", "limit"},
		"limit 1001":                       {get(messages + "?limit=1001"), 400, "invalid", "limit"},
		"limit empty":                      {get(messages + "?limit="), 400, "invalid", "limit"},
		"limit with a sign":                {get(messages + "?limit=%2B7"), 400, "invalid", "limit"},
		"after negative":                   {get(messages + "?after=-1"), 400, "invalid", "after"},
		"after no number":                  {get(messages + "?after=x"), 400, "invalid", "after"},
		"before 0":                         {get(messages + "?before=0"), 400, "invalid", "before"},
		"before and after":                 {get(messages + "?before=9&after=1"), 400, "invalid", "before"},
		"after no id":                      {get("/v1/conversations?after=x"), 400, "invalid", "after"},
		"query where there is none":        {get("/v1/me?x=1"), 400, "invalid", "x"},
		"query of a probe":                 {get("/healthz?x=1"), 400, "invalid", "x"},
		"handle missing":                   {get("/v1/users"), 400, "invalid", "handle"},
		"handle malformed":                 {get("/v1/users?handle=Ann"), 400, "invalid", "handle"},
		"kind missing":                     {create(`{"members":["bob"]}`), 400, "invalid", "kind"},
		"kind unknown":                     {create(`{"kind":"crowd","members":["bob"]}`), 400, "invalid", "kind"},
		"members missing":                  {create(`{"kind":"group"}`), 400, "invalid", "members"},
		"members no list":                  {create(`{"kind":"group","members":"bob"}`), 400, "invalid", "members"},
		"members of another type":          {create(`{"kind":"group","members":["bob",7]}`), 400, "invalid", "members[1]"},
		"member malformed":                 {create(`{"kind":"group","members":["Bob"]}`), 400, "invalid", "members[0]"},
		"1,001 members":                    {create(map[string]any{"kind": "group", "members": many}), 400, "invalid", "members"},
		"member who does not exist":        {create(`{"kind":"group","members":["nobody"]}`), 400, "unknown_member", "members"},
		"direct with oneself":              {create(`{"kind":"direct","members":["ann"]}`), 400, "invalid", "members"},
		"direct with nobody":               {create(`{"kind":"direct","members":[]}`), 400, "invalid", "members"},
		"direct with two":                  {create(`{"kind":"direct","members":["bob","eve"]}`), 400, "invalid", "members"},
		"direct with a title":              {create(`{"kind":"direct","members":["bob"],"title":"x"}`), 400, "invalid", "title"},
		"title over 200":                   {create(map[string]any{"kind": "group", "members": []string{}, "title": strings.Repeat("x", 201)}), 400, "invalid", "title"},
		"title with a line break":          {create(`{"kind":"group","members":[],"title":"a\nb"}`), 400, "invalid", "title"},
		"history unknown":                  {create(`{"kind":"group","members":[],"history":"some"}`), 400, "invalid", "history"},
		"title missing":                    {request{method: "PATCH", path: "/v1/conversations/" + theirs.Id, token: ann.Token, body: `{}`}, 400, "invalid", "title"},
		"renaming as a member":             {request{method: "PATCH", path: "/v1/conversations/" + theirs.Id, token: bob.Token, body: `{"title":"x"}`}, 403, "forbidden", ""},
		"adding as a member":               {request{method: "POST", path: "/v1/conversations/" + theirs.Id + "/members", token: bob.Token, body: `{"members":["eve"]}`}, 403, "forbidden", ""},
		"adding nobody":                    {request{method: "POST", path: "/v1/conversations/" + theirs.Id + "/members", token: ann.Token, body: `{"members":[]}`}, 400, "invalid", "members"},
		"adding who does not exist":        {request{method: "POST", path: "/v1/conversations/" + theirs.Id + "/members", token: ann.Token, body: `{"members":["nobody"]}`}, 400, "unknown_member", "members"},
		"removing as a member":             {request{method: "DELETE", path: "/v1/conversations/" + theirs.Id + "/members/" + ann.User.Id, token: bob.Token}, 403, "forbidden", ""},
		"removing who is not in it":        {request{method: "DELETE", path: "/v1/conversations/" + theirs.Id + "/members/" + eve.User.Id, token: ann.Token}, 404, "not_found", ""},
		"ack beyond the end":               {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"read": map[string]int{theirs.Id: 99}}}, 409, "conflict", "read"},
		"ack negative":                     {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"read": map[string]int{theirs.Id: -1}}}, 400, "invalid", "read[" + theirs.Id + "]"},
		"ack of what is no id":             {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"delivered": map[string]int{"x": 1}}}, 400, "invalid", "delivered[x]"},
		"ack of one twice":                 {request{method: "POST", path: "/v1/acks", token: ann.Token, body: `{"read":{"` + theirs.Id + `":1,"` + theirs.Id + `":2}}`}, 400, "invalid", "read[" + theirs.Id + "]"},
		"ack beyond the end among others":  {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"delivered": map[string]int{theirs.Id: 99, own.Id: 1}}}, 409, "conflict", "delivered"},
		"acks of 1,001":                    {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"read": strangers(1001)}}, 400, "invalid", "read"},
		"acks of 10,000":                   {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"delivered": strangers(10_000)}}, 400, "invalid", "delivered"},
		"acks larger than a body may be":   {request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"delivered": strangers(20_000)}}, 413, "body_too_large", ""},
		"inbox, no token":                  {request{method: "GET", path: "/v1/inbox"}, 401, "unauthorized", ""},
		"inbox, cursor empty":              {get("/v1/inbox?cursor="), 400, "invalid", "cursor"},
		"inbox, cursor of 129 characters":  {get("/v1/inbox?cursor=" + strings.Repeat("A", 129)), 400, "invalid", "cursor"},
		"inbox, cursor not base64url":      {get("/v1/inbox?cursor=AQ%2B%2F"), 400, "invalid", "cursor"},
		"inbox, cursor padded":             {get("/v1/inbox?cursor=" + ours + "=="), 400, "invalid", "cursor"},
		"inbox, cursor of a conversation":  {get("/v1/inbox?cursor=2-" + w.store.Epoch()), 400, "invalid", "cursor"},
		"inbox, cursor of another":         {get("/v1/inbox?cursor=" + w.inbox(bob, "").Cursor), 400, "invalid", "cursor"},
		"inbox, cursor twice":              {get("/v1/inbox?cursor=" + ours + "&cursor=" + ours), 400, "invalid", "cursor"},
		"inbox, cursor and from":           {get("/v1/inbox?from=now&cursor=" + ours), 400, "invalid", "from"},
		"inbox, from elsewhere":            {get("/v1/inbox?from=elsewhere"), 400, "invalid", "from"},
		"inbox, from empty":                {get("/v1/inbox?from="), 400, "invalid", "from"},
		"inbox, wait 51":                   {get("/v1/inbox?wait=51"), 400, "invalid", "wait"},
		"inbox, wait negative":             {get("/v1/inbox?wait=-1"), 400, "invalid", "wait"},
		"inbox, limit 0":                   {get("/v1/inbox?limit=0"), 400, "invalid", "limit"},
		"inbox, limit 1001":                {get("/v1/inbox?limit=1001"), 400, "invalid", "limit"},
		"inbox, unknown parameter":         {get("/v1/inbox?after=1"), 400, "invalid", "after"},
		"inbox stream, cursor and from":    {get("/v1/inbox/stream?from=start&cursor=" + ours), 400, "invalid", "from"},
		"inbox stream, from elsewhere":     {get("/v1/inbox/stream?from=elsewhere"), 400, "invalid", "from"},
		"inbox stream, cursor empty":       {get("/v1/inbox/stream?cursor="), 400, "invalid", "cursor"},
		"inbox stream, cursor of another":  {get("/v1/inbox/stream?cursor=" + w.inbox(bob, "").Cursor), 400, "invalid", "cursor"},
		"inbox stream, unknown parameter":  {get("/v1/inbox/stream?wait=1"), 400, "invalid", "wait"},
		"settings, by a ticket":            {request{method: "PATCH", path: "/v1/me?ticket=" + w.ticket(ann), body: `{"read_receipts":false}`}, 401, "unauthorized", ""},
		"settings, empty":                  {request{method: "PATCH", path: "/v1/me", token: ann.Token, body: `{}`}, 400, "invalid", "read_receipts"},
		"settings, no boolean":             {request{method: "PATCH", path: "/v1/me", token: ann.Token, body: `{"read_receipts":"no"}`}, 400, "invalid", "read_receipts"},
		"settings, null":                   {request{method: "PATCH", path: "/v1/me", token: ann.Token, body: `{"read_receipts":null}`}, 400, "invalid", "read_receipts"},
		"settings, a form with no boolean": {request{method: "PATCH", path: "/v1/me", token: ann.Token, body: url.Values{"read_receipts": {"0"}}}, 400, "invalid", "read_receipts"},
		"settings, unknown":                {request{method: "PATCH", path: "/v1/me", token: ann.Token, body: `{"read_receipts":false,"x":1}`}, 400, "invalid", "x"},
		"sign-up, handle too short":        {request{method: "POST", path: "/v1/users", body: `{"handle":"a","password":"12345678"}`}, 400, "invalid", "handle"},
		"sign-up, handle in capitals":      {request{method: "POST", path: "/v1/users", body: `{"handle":"Ann","password":"12345678"}`}, 400, "invalid", "handle"},
		"sign-up, handle taken":            {request{method: "POST", path: "/v1/users", body: `{"handle":"ann","password":"12345678"}`}, 409, "handle_taken", "handle"},
		"sign-up, password too short":      {request{method: "POST", path: "/v1/users", body: `{"handle":"fay","password":"1234567"}`}, 400, "invalid", "password"},
		"sign-up, password too long":       {request{method: "POST", path: "/v1/users", body: map[string]any{"handle": "fay", "password": strings.Repeat("é", 129)}}, 400, "invalid", "password"},
		"sign-up, password missing":        {request{method: "POST", path: "/v1/users", body: `{"handle":"fay"}`}, 400, "invalid", "password"},
		"sign-up, name with an escape":     {request{method: "POST", path: "/v1/users", body: `{"handle":"fay","password":"12345678","display_name":"a\u001bb"}`}, 400, "invalid", "display_name"},
		"sign-up, name too long":           {request{method: "POST", path: "/v1/users", body: map[string]any{"handle": "fay", "password": "12345678", "display_name": strings.Repeat("x", 65)}}, 400, "invalid", "display_name"},
		"sign-in, wrong password":          {request{method: "POST", path: "/v1/sessions", body: `{"handle":"ann","password":"wrong one"}`}, 401, "unauthorized", ""},
		"sign-in, nobody":                  {request{method: "POST", path: "/v1/sessions", body: `{"handle":"nobody","password":"wrong one"}`}, 401, "unauthorized", ""},
		"sign-in, device with a line":      {request{method: "POST", path: "/v1/sessions", body: `{"handle":"ann","password":"correct horse","device_name":"a\nb"}`}, 400, "invalid", "device_name"},
	} {
		t.Run(name, func(t *testing.T) {
			at := *w
			at.t = t
			p := at.refused(test.request, test.status, test.code, test.field)
			if len(p.Field)+len(p.Detail) > 1000 {
				t.Errorf("the problem repeats too much of the input: %d bytes", len(p.Field)+len(p.Detail))
			}
			if test.code == "invalid" && p.Field != "" && !strings.Contains(p.Detail, strings.SplitN(p.Field, "[", 2)[0]) {
				t.Errorf("the detail does not name the field %q: %s", p.Field, p.Detail)
			}
		})
	}

	var page MessagePage
	w.must(200, get(messages), &page)
	if len(page.Messages) != 1 || page.LastSeq != 2 {
		t.Errorf("bad input left something behind: %+v", page)
	}
	for _, c := range []string{theirs.Id, own.Id} {
		var v Conversation
		w.must(200, get("/v1/conversations/"+c), &v)
		if v.DeliveredSeq != 0 || v.ReadSeq != 0 {
			t.Errorf("bad acks were applied: %+v", v)
		}
	}
	var me Me
	if w.must(200, get("/v1/me"), &me); !me.ReadReceipts {
		t.Errorf("bad input changed the settings: %+v", me)
	}
}

func mustID(t testing.TB, text string) store.ID {
	t.Helper()
	id, ok := store.ParseID(text)
	if !ok {
		t.Fatalf("%q is no id", text)
	}
	return id
}

// strangers are acks of seq 1 in conversations that nobody is in.
func strangers(n int) map[string]int {
	acks := make(map[string]int, n)
	for len(acks) < n {
		acks[store.NewID().String()] = 1
	}
	return acks
}

// What an ack cannot move is no error: it is behind, or in a conversation that
// the caller is not in. As many as one call may name are taken.
func TestAcksThatMoveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	theirs, own := w.group(bob).Id, w.group(ann).Id
	w.send(ann, own, "1", "hello") // 2
	w.ack(ann, Acks{Read: Watermarks{own: 2}})
	w.ack(ann, Acks{Delivered: Watermarks{own: 1}, Read: Watermarks{own: 1, theirs: 1}})
	w.ack(ann, Acks{Read: Watermarks{theirs: 99}})
	many := strangers(store.MaxAcksAtOnce)
	for id := range many {
		delete(many, id)
		break
	}
	w.send(ann, own, "2", "hello") // 3
	many[own] = 3
	w.must(204, request{method: "POST", path: "/v1/acks", token: ann.Token, body: map[string]any{"read": many, "delivered": many}}, nil)
	var v Conversation
	w.must(200, request{method: "GET", path: "/v1/conversations/" + own, token: ann.Token}, &v)
	if v.ReadSeq != 3 || v.DeliveredSeq != 3 {
		t.Errorf("%+v", v)
	}
	w.must(200, request{method: "GET", path: "/v1/conversations/" + theirs, token: bob.Token}, &v)
	if v.ReadSeq != 0 || v.DeliveredSeq != 0 {
		t.Errorf("%+v", v)
	}
}

package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"holdline"
)

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true, "*": true, "gzip;q=0": false,
		"gzip; q=0.000": false, "gzip;q=0, *": false, "*, gzip;q=0": false, "br, identity": false, "identity;q=0.5, gzip;q=0.8": true,
		"identity, gzip;q=0.5": false, "gzip;q=x": false, "gzip;q=2": false, "identity;q=0, *": true, "gzipped": false, "*;q=0": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	if !acceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("the second of two headers")
	}
}

// asking is a client that is given bodies as they came.
func asking(t *testing.T, url, token, accept string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	must(t, err)
	req.Header.Set("Accept-Encoding", accept)
	req.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		t.Errorf("%s: length %q of %d bytes", url, resp.Header.Get("Content-Length"), len(body))
	}
	return resp, body
}

func unzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(body))
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

func TestLongAnswersAreCompressed(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	path := w.url + "/v1/conversations/" + c
	resp, body := asking(t, path+"/events", ann.Token, "gzip")
	if resp.Header.Get("Content-Encoding") != "" || body[0] != '{' {
		t.Errorf("a short answer: %v", resp.Header)
	}
	w.send(ann, c, "1", strings.Repeat("Lorem ipsum ", 500))
	_, plain := asking(t, path+"/events", ann.Token, "gzip;q=0")
	for name, url := range map[string]string{
		"events": path + "/events", "messages": path + "/messages", "inbox": w.url + "/v1/inbox?from=start",
		"in an envelope": path + "/events?envelope=1", "contract": w.url + "/openapi.yaml",
	} {
		resp, body = asking(t, url, ann.Token, "gzip")
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v", name, resp.Header)
			continue
		}
		if text := unzipped(t, body); len(text) < 5*len(body)/2 || url == path+"/events" && !bytes.Equal(text, plain) {
			t.Errorf("%s: %d bytes for %d", name, len(body), len(text))
		}
	}
	if resp, _ = asking(t, path+"/events", ann.Token, "br"); resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("not asked for: %v", resp.Header)
	}
	// A poll that waited is answered so too.
	got := make(chan []byte)
	go func() {
		_, body := asking(t, path+"/events?after=2&wait=20", ann.Token, "gzip")
		got <- body
	}()
	w.waiting(1)
	w.send(ann, c, "2", strings.Repeat("dolor sit ", 500))
	var page EventPage
	must(t, json.Unmarshal(unzipped(t, <-got), &page))
	if len(page.Events) != 1 {
		t.Errorf("%+v", page)
	}
}

func TestSecretsAreNotCompressed(t *testing.T) {
	operations, err := loadContract(holdline.OpenAPI)
	must(t, err)
	var secret []string
	for id, op := range operations {
		if op.secret {
			secret = append(secret, id)
		}
	}
	if got := joinSorted(secret); got != "createSession, createTicket, createUser, getMe, updateMe" {
		t.Errorf("secrets are in the answers of %s", got)
	}
}

func TestStreamsAreCompressedByEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	open := func(path string) (*bufio.Reader, *http.Response) {
		conn := w.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer " + ann.Token + "\r\n\r\n")
		raw := bufio.NewReader(conn)
		resp, err := http.ReadResponse(raw, nil)
		must(t, err)
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%v", resp.Header)
		}
		z, err := gzip.NewReader(resp.Body)
		must(t, err)
		return bufio.NewReader(z), resp
	}
	readers := map[string]*bufio.Reader{}
	for name, path := range map[string]string{
		"frames": "/v1/conversations/" + c + "/stream", "inbox": "/v1/inbox/stream?from=start&compact=1", "padded": "/v1/conversations/" + c + "/stream?pad=16384&nudge=1",
	} {
		readers[name], _ = open(path)
	}
	w.waiting(3)
	for n := range 40 {
		text := fmt.Sprint("number ", n, strings.Repeat(" x", n*n))
		w.send(ann, c, fmt.Sprint(n), text)
		for name, r := range readers { // each at once: the reader blocks for no more
			for line := ""; !strings.Contains(line, text+`"`); {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
	must(t, w.Close(t.Context()))
	for name, r := range readers {
		if _, err := io.Copy(io.Discard, r); err != nil { // with its checksum and length
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is written, in whatever pieces, comes out whole as soon as it is written.
func TestStreamZip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var zips sharedZips
	for range 8 {
		z, out := new(streamZip), new(bytes.Buffer)
		var r *gzip.Reader
		var err error
		var want, got bytes.Buffer
		for range 30 {
			p := make([]byte, 1+random.IntN(700))
			if random.IntN(5) == 0 {
				p = make([]byte, 40<<10)
			}
			for i := range p {
				p[i] = "abcdefg \n\xff"[random.IntN(1+random.IntN(10))]
			}
			if r != nil && random.IntN(2) == 0 {
				z.writeShared(out, p, &zips)
			} else {
				z.write(out, p)
			}
			want.Write(p)
			if r == nil {
				r, err = gzip.NewReader(out)
				must(t, err)
			}
			if _, err := io.CopyN(&got, r, int64(len(p))); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatal("other bytes came out")
		}
		if len(z.tail) > zipTail || cap(z.tail) > zipTail {
			t.Fatalf("%d bytes are kept", cap(z.tail))
		}
		z.end(out)
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// messageFrames are messages of about twenty characters as they stand on a stream.
func messageFrames(compact bool) (all [][]byte) {
	for n := range 64 {
		text := fmt.Sprintf("message %02d, see you!", n)
		if compact {
			all = append(all, fmt.Appendf(nil, "data: {\"seq\":%d,\"text\":%q}\nid: %d-yy9JNy\n\n", 1200+n, text, 1200+n))
			continue
		}
		all = append(all, fmt.Appendf(nil, "event: message\ndata: {\"conversation_id\":\"4Jx0aQ7bTz1\",\"seq\":%d,\"type\":\"message\",\"sender_id\":\"7Vb3mNc1LpA\","+
			"\"text\":%q,\"accepted_at\":\"2026-11-25T08:%02d:07.%03dZ\"}\nid: %d-yy9JNy\n\n", 1200+n, text, n%60, n*13%1000, 1200+n))
	}
	return all
}

// What docs/constrained.md says of compressed messages.
func TestCompressedMessagesAreShort(t *testing.T) {
	for compact, most := range map[bool]int{false: 35, true: 26} {
		z, out := new(streamZip), new(bytes.Buffer)
		frames := messageFrames(compact)
		z.write(out, frames[0])
		begun := out.Len()
		for _, f := range frames[1:] {
			z.write(out, f)
		}
		if each := (out.Len() - begun) / (len(frames) - 1); each > most {
			t.Errorf("compact %v: %d bytes a message", compact, each)
		}
	}
}

// Readers of one log are sent the same bytes, once they have the same behind them.
func TestReadersShareWhatIsCompressed(t *testing.T) {
	var zips sharedZips
	frames := messageFrames(false)
	readers, outs := make([]streamZip, 20), make([]bytes.Buffer, 20)
	for i := range readers {
		readers[i].write(&outs[i], []byte(strings.Repeat(": heartbeat\n", i+1))) // to each its own
	}
	for n, f := range frames {
		var first []byte
		for i := range readers {
			from := outs[i].Len()
			readers[i].writeShared(&outs[i], f, &zips)
			if got := outs[i].Bytes()[from:]; i == 0 {
				first = got
			} else if n > 0 && !bytes.Equal(got, first) {
				t.Fatalf("reader %d is sent other bytes", i)
			}
		}
	}
	for i := range readers {
		readers[i].end(&outs[i])
		if got := unzipped(t, outs[i].Bytes()); !bytes.HasSuffix(got, bytes.Join(frames, nil)) {
			t.Errorf("reader %d got %q", i, got)
		}
	}
}

// BenchmarkSharedZip is a message to one more of many readers.
func BenchmarkSharedZip(b *testing.B) {
	var zips sharedZips
	frames := messageFrames(false)
	var z streamZip
	var out bytes.Buffer
	z.write(&out, frames[0])
	for b.Loop() {
		out.Reset()
		z.writeShared(&out, frames[1], &zips)
	}
}

// BenchmarkStreamZip tells what compression costs on a stream: bytes kept for
// each reader, and bytes on the wire for each message of about twenty
// characters, in full form and compact.
func BenchmarkStreamZip(b *testing.B) {
	for _, compact := range []bool{false, true} {
		all := messageFrames(compact)
		b.Run(fmt.Sprintf("compact=%v", compact), func(b *testing.B) {
			readers := make([]streamZip, 1000)
			var out bytes.Buffer
			new(streamZip).write(&out, all[0]) // what all share
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range readers {
				out.Reset()
				readers[i].write(&out, all[0])
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			sent, plain, n := 0, 0, 0
			for b.Loop() {
				out.Reset()
				f := all[n%len(all)]
				readers[0].write(&out, f)
				sent, plain, n = sent+out.Len(), plain+len(f), n+1
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(readers)), "kept_B/reader")
			b.ReportMetric(float64(sent)/float64(n), "sent_B/message")
			b.ReportMetric(float64(plain)/float64(n), "plain_B/message")
			runtime.KeepAlive(readers)
		})
	}
}

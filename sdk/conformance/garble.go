package conformance

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
)

// garble has an answer pass through changed, where that is what happens now.
func (f *front) garble(resp *http.Response) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kind != FaultGarbled && f.kind != FaultDropped {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // no type is another
	stream := kind == "text/event-stream"
	resp.Body = &changed{body: resp.Body, lines: bufio.NewReader(resp.Body), change: func(part []byte) []byte { return f.change(part, stream) }}
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	return nil
}

// change is what becomes of a frame of a stream, or of a whole answer.
func (f *front) change(part []byte, stream bool) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := []byte(`"text":` + strconv.Quote(f.text))
	garbles := f.kind == FaultGarbled || f.kind == FaultDropped && stream
	if !garbles || f.count == 0 || !bytes.Contains(part, text) {
		return part
	}
	if f.count > 0 {
		f.count--
	}
	f.struck++
	if f.kind == FaultDropped {
		return nil
	}
	return bytes.ReplaceAll(part, text, []byte(`"text":[`+strconv.Quote(f.text)+`]`))
}

// changed is the body of an answer in which parts are changed: what ends with an empty line, as the frames of a stream do, or
// with the body.
type changed struct {
	body   io.Closer
	lines  *bufio.Reader
	change func([]byte) []byte
	ready  []byte
	err    error
}

func (c *changed) Close() error { return c.body.Close() }

func (c *changed) Read(p []byte) (int, error) {
	for len(c.ready) == 0 && c.err == nil {
		c.ready = c.change(c.part())
	}
	if len(c.ready) == 0 {
		return 0, c.err
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

func (c *changed) part() []byte {
	var part []byte
	for {
		var line []byte
		line, c.err = c.lines.ReadBytes('\n')
		part = append(part, line...)
		if c.err != nil || len(line) == 1 {
			return part
		}
	}
}

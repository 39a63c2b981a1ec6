package torture

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// frame is one event of a stream.
type frame struct {
	event, data string
	id          string
	hasID       bool
}

// maxFrame bounds a line of a stream and of text.
const maxFrame = 4 << 20

// readFrames gives each whole frame of an event stream to fn, until fn returns
// false or the stream ends. A frame is whole at its blank line: what a cut left
// of the last one, its id too, is dropped (WHATWG HTML 9.2.6). The error is nil
// at an orderly end.
func readFrames(r io.Reader, fn func(frame) bool) error {
	in := bufio.NewReaderSize(r, 16<<10)
	var f frame
	var data []string
	for {
		line, err := readLine(in)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if line == "" {
			f.data = strings.Join(data, "\n")
			if (len(data) > 0 || f.hasID) && !fn(f) {
				return nil
			}
			f, data = frame{}, data[:0]
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			f.event = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.Contains(value, "\x00") {
				f.id, f.hasID = value, true
			}
		}
	}
}

// readLine reads a whole line without its end. What a line's end is missing
// from is no line.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if len(line) > maxFrame {
			return "", errors.New("a line that does not end")
		}
	}
}

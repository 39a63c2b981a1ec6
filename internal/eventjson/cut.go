package eventjson

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// cuttable are the fields of an event that may be cut short, in the order in
// which they are: whatever else an event holds is short.
var cuttable = []string{"text", "members", "title"}

const truncated = `,"truncated":true`

// Cut appends an event, given as its JSON, with so much left out that it has at
// most so many bytes: its text, title and members end early, at a whole
// character or id, and `truncated` is true. An event that fits is appended as
// it is. What stays of an event without these has no bound but its own.
func Cut(dst, event []byte, most int) []byte {
	if len(event) <= most {
		return append(dst, event...)
	}
	fields, ok := split(event)
	if !ok {
		return append(dst, event...) // no event
	}
	excess := len(event) + len(truncated) - most
	for _, name := range cuttable {
		for i := range fields {
			f := &fields[i]
			if excess <= 0 || string(f.name) != `"`+name+`"` {
				continue
			}
			before := len(f.value)
			if name == "members" {
				f.value = cutArray(f.value, before-excess)
			} else {
				f.value = cutString(f.value, before-excess)
			}
			excess -= before - len(f.value)
		}
	}
	for i, f := range fields {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		dst = append(dst, sep)
		dst = append(append(append(dst, f.name...), ':'), f.value...)
	}
	dst = append(dst, truncated...)
	return append(dst, '}')
}

type field struct{ name, value jsontext.Value }

// split takes an object apart. The pieces are copies.
func split(object []byte) (fields []field, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(object))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, false
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		name = name.Clone()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		fields = append(fields, field{name, value.Clone()})
	}
	return fields, len(fields) > 0
}

// cutString cuts the text of a JSON string to at most so many bytes, between
// two characters; an escape is one.
func cutString(s jsontext.Value, most int) jsontext.Value {
	at := 1
	for at < len(s)-1 {
		next := at
		switch {
		case s[at] != '\\':
			_, size := utf8.DecodeRune(s[at:])
			next += size
		case s[at+1] == 'u':
			next += 6
		default:
			next += 2
		}
		if next+1 > most {
			break
		}
		at = next
	}
	return append(s[:at:at], '"')
}

// cutArray cuts an array of ids to at most so many bytes.
func cutArray(a jsontext.Value, most int) jsontext.Value {
	for at := min(most, len(a)) - 1; at > 0; at-- {
		if a[at] == ',' {
			return append(a[:at:at], ']')
		}
	}
	return jsontext.Value(`[]`)
}

package api

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// errJSONAsForm helps with the commonest slip of all.
var errJSONAsForm = invalid("", "The body holds JSON but came as a form, which is how curl -d sends it. Add: -H 'Content-Type: application/json'")

// looksLikeJSON reports whether a body that came as a form is JSON.
func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// formJSON writes a form as the JSON that it stands for: fields by the types r
// gives them, lists as repeated fields, maps as name[key]. An optional field
// that is empty counts as left out, since HTML forms send all their fields.
func formJSON(r *rule, body []byte) ([]byte, error) {
	if looksLikeJSON(body) {
		return nil, errJSONAsForm
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("", "The form cannot be read: %v.", err)
	}
	f := form{rule: r, fields: map[string]jsontext.Value{}, entries: map[string][]formEntry{}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := f.add(name, values[name]); err != nil {
			return nil, err
		}
	}
	for name, entries := range f.entries {
		if f.fields[name], err = formObject(name, entries); err != nil {
			return nil, err
		}
	}
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(f.fields)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(strconv.AppendQuote(out, name), ':'), f.fields[name]...)
	}
	return append(out, '}'), nil
}

// form collects the fields of a form as JSON values, by the names of rule's properties.
type form struct {
	rule    *rule
	fields  map[string]jsontext.Value
	entries map[string][]formEntry // of the maps
}

// add takes one name of the form and all that was sent under it.
func (f *form) add(name string, values []string) (err error) {
	base, key, isEntry := mapEntry(name)
	field := f.rule.properties[base]
	if field == nil || isEntry != (field.kind == "object") {
		return f.rule.unknownField(name)
	}
	shown := shorten(name)
	switch {
	case field.kind == "array":
		f.fields[base], err = formList(field, shown, values)
		return err
	case len(values) > 1:
		return invalid(shown, "%s is there %d times.", shown, len(values))
	case isEntry:
		value, err := formValue(field.values, shown, values[0])
		f.entries[base] = append(f.entries[base], formEntry{key, value})
		return err
	case values[0] == "" && !slices.Contains(f.rule.required, name):
		return nil
	}
	f.fields[base], err = formValue(field, shown, values[0])
	return err
}

type formEntry struct {
	key   string
	value jsontext.Value
}

// mapEntry splits name[key].
func mapEntry(name string) (base, key string, ok bool) {
	base, rest, found := strings.Cut(name, "[")
	key, closed := strings.CutSuffix(rest, "]")
	if !found || !closed {
		return name, "", false
	}
	return base, key, true
}

func formValue(r *rule, name, v string) (jsontext.Value, error) {
	if err := r.text(name, v); err != nil {
		return nil, err
	}
	if r.kind == "integer" {
		n, err := strconv.ParseInt(v, 10, 64)
		return strconv.AppendInt(nil, n, 10), err
	}
	if r.kind == "boolean" {
		return jsontext.Value(v), nil
	}
	return jsontext.AppendQuote(nil, v)
}

func formList(r *rule, name string, values []string) (jsontext.Value, error) {
	out := jsontext.Value{'['}
	for i, v := range values {
		item, err := formValue(r.items, name+"["+strconv.Itoa(i)+"]", v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), nil
}

func formObject(name string, entries []formEntry) (jsontext.Value, error) {
	out := jsontext.Value{'{'}
	for i, e := range entries {
		key, err := jsontext.AppendQuote(nil, e.key)
		if err != nil {
			return nil, invalid(name, "%s must be UTF-8.", name)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), e.value...)
	}
	return append(out, '}'), nil
}

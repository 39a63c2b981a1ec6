package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
)

// rule is a schema of the contract, ready to check values with. It covers the
// part of OpenAPI that requests of this contract use; newRule refuses the rest.
type rule struct {
	kind string // string, integer, boolean, array, object

	minLength, maxLength int // string: code points
	pattern              *regexp.Regexp
	shape                string // the pattern as written, for messages
	enum                 []string

	min, max int64 // integer

	items              *rule // array
	minItems, maxItems int

	properties map[string]*rule // object with named fields
	required   []string
	values     *rule // object used as a map
	maxValues  int
}

func newRule(s *openapi3.Schema) (*rule, error) {
	r := &rule{min: math.MinInt64, max: math.MaxInt64, maxLength: math.MaxInt, maxItems: math.MaxInt, maxValues: math.MaxInt}
	switch {
	case s.Type.Is("string"):
		return r, r.stringSchema(s)
	case s.Type.Is("integer"):
		r.kind = "integer"
		if s.Min != nil {
			r.min = int64(*s.Min)
		}
		if s.Max != nil {
			r.max = int64(*s.Max)
		}
		return r, nil
	case s.Type.Is("boolean"):
		r.kind = "boolean"
		return r, nil
	case s.Type.Is("array"):
		r.kind = "array"
		r.minItems = int(s.MinItems)
		if s.MaxItems != nil {
			r.maxItems = int(*s.MaxItems)
		}
		var err error
		r.items, err = newRule(s.Items.Value)
		return r, err
	case s.Type.Is("object"):
		return r, r.objectSchema(s)
	}
	return nil, fmt.Errorf("a schema of type %v cannot be checked", s.Type)
}

func (r *rule) stringSchema(s *openapi3.Schema) error {
	r.kind = "string"
	r.minLength = int(s.MinLength)
	if s.MaxLength != nil {
		r.maxLength = int(*s.MaxLength)
	}
	for _, e := range s.Enum {
		r.enum = append(r.enum, fmt.Sprint(e))
	}
	if s.Pattern == "" {
		return nil
	}
	r.shape = s.Pattern
	var err error
	r.pattern, err = regexp.Compile(s.Pattern)
	return err
}

func (r *rule) objectSchema(s *openapi3.Schema) error {
	r.kind = "object"
	r.required = s.Required
	if s.MaxProps != nil {
		r.maxValues = int(*s.MaxProps)
	}
	if s.AdditionalProperties.Schema != nil {
		values, err := newRule(s.AdditionalProperties.Schema.Value)
		r.values = values
		return err
	}
	r.properties = make(map[string]*rule, len(s.Properties))
	for name, p := range s.Properties {
		field, err := newRule(p.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.properties[name] = field
	}
	return nil
}

// text checks a value that came as text, in a query, a path or a form.
func (r *rule) text(field, v string) error {
	if r.kind == "integer" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || strings.HasPrefix(v, "+") {
			return invalid(field, "%s must be a whole number.", field)
		}
		return r.integer(field, n)
	}
	if r.kind == "boolean" {
		if v != "true" && v != "false" {
			return r.wrongKind(field)
		}
		return nil
	}
	if !utf8.ValidString(v) {
		return invalid(field, "%s must be UTF-8.", field)
	}
	return r.string(field, v)
}

func (r *rule) integer(field string, n int64) error {
	switch {
	case n >= r.min && n <= r.max:
		return nil
	case r.max == math.MaxInt64:
		return invalid(field, "%s must be at least %d.", field, r.min)
	}
	return invalid(field, "%s must be %d to %d.", field, r.min, r.max)
}

func (r *rule) string(field, v string) error {
	if strings.IndexByte(v, 0) >= 0 {
		return invalid(field, "%s must not hold a NUL character.", field)
	}
	if n := utf8.RuneCountInString(v); n < r.minLength || n > r.maxLength {
		switch {
		case n == 0:
			return invalid(field, "%s must not be empty.", field)
		case n < r.minLength:
			return invalid(field, "%s must have at least %d characters.", field, r.minLength)
		}
		return invalid(field, "%s may have at most %d characters.", field, r.maxLength)
	}
	if r.pattern != nil && !r.pattern.MatchString(v) {
		return invalid(field, "%s must be of the form %s.", field, r.shape)
	}
	if r.enum != nil && !slices.Contains(r.enum, v) {
		return invalid(field, "%s must be one of: %s.", field, strings.Join(r.enum, ", "))
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// json checks one JSON text strictly: besides the schema it refuses null,
// repeated names, invalid UTF-8, lone surrogates, NUL and whatever follows.
func (r *rule) json(body []byte) error {
	dec := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(dec)
	dec.Reset(bytes.NewBuffer(body))
	if err := r.value(dec, ""); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return invalid("", "The body must be one JSON object and nothing after it.")
	}
	return nil
}

// value checks the next value; field names it, empty for the body itself.
func (r *rule) value(dec *jsontext.Decoder, field string) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return syntaxError(err)
	}
	switch kind := tok.Kind(); {
	case kind == '"' && r.kind == "string":
		return r.string(field, tok.String())
	case kind == '0' && r.kind == "integer":
		n, err := strconv.ParseInt(tok.String(), 10, 64)
		if err != nil {
			return invalid(field, "%s must be a whole number that fits into 64 bits.", field)
		}
		return r.integer(field, n)
	case (kind == 't' || kind == 'f') && r.kind == "boolean":
		return nil
	case kind == '[' && r.kind == "array":
		return r.array(dec, field)
	case kind == '{' && r.kind == "object":
		return r.object(dec, field)
	}
	return r.wrongKind(field)
}

func (r *rule) array(dec *jsontext.Decoder, field string) error {
	n := 0
	for dec.PeekKind() != ']' {
		if n == r.maxItems {
			return invalid(field, "%s may have at most %d entries.", field, r.maxItems)
		}
		if err := r.items.value(dec, field+"["+strconv.Itoa(n)+"]"); err != nil {
			return err
		}
		n++
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	if n < r.minItems {
		return invalid(field, "%s must have at least %d entries.", field, r.minItems)
	}
	return nil
}

func (r *rule) object(dec *jsontext.Decoder, field string) error {
	var seen []string
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return syntaxError(err)
		}
		name := tok.String()
		child := r.values
		if child == nil {
			child = r.properties[name]
		}
		if child == nil {
			return r.unknownField(name)
		}
		if len(seen) == r.maxValues {
			return invalid(field, "%s may have at most %d entries.", field, r.maxValues)
		}
		seen = append(seen, name)
		if field != "" {
			name = field + "[" + shorten(name) + "]"
		}
		if err := child.value(dec, name); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	for _, name := range r.required {
		if !slices.Contains(seen, name) {
			return invalid(name, "%s is missing.", name)
		}
	}
	return nil
}

// unknownField refuses a name, with a hint where only the case is wrong.
func (r *rule) unknownField(name string) error {
	shown := shorten(name)
	for known := range r.properties {
		if strings.EqualFold(known, name) {
			return invalid(shown, "There is no field %q here; names are case-sensitive: %s.", shown, known)
		}
	}
	return invalid(shown, "There is no field %q here.", shown)
}

func (r *rule) wrongKind(field string) error {
	what := map[string]string{"string": "a string", "integer": "a whole number", "boolean": "true or false", "array": "a list", "object": "an object"}[r.kind]
	if field == "" {
		return invalid("", "The body must be a JSON object.")
	}
	return invalid(field, "%s must be %s.", field, what)
}

// syntaxError says what is wrong with JSON that cannot be read, and where.
func syntaxError(err error) error {
	var se *jsontext.SyntacticError
	if !errors.As(err, &se) {
		return invalid("", "The body must be a JSON object; it ended too early.")
	}
	field := fieldOf(se.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(field, "%s is there twice.", field)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid(field, "The JSON of the body ended too early, after %d bytes.", se.ByteOffset)
	}
	if field == "" {
		return invalid("", "The body is not valid JSON at byte %d: %v.", se.ByteOffset, se.Err)
	}
	return invalid(field, "%s is not valid JSON at byte %d of the body: %v.", field, se.ByteOffset, se.Err)
}

// fieldOf writes a JSON pointer the way forms do: /read/x is read[x].
func fieldOf(p jsontext.Pointer) string {
	var field string
	for token := range p.Tokens() {
		if field == "" {
			field = shorten(token)
		} else {
			field += "[" + shorten(token) + "]"
		}
	}
	return field
}

// Package contract holds HTTP exchanges of tests against openapi.yaml.
//
// Transport is put under a test's http.Client. Every answer must be one that
// the contract names for that call: its status, type, headers and body, where
// fields that the contract does not name count as faults. A request that was
// answered 2xx must be one that the contract allows; a refused one may be
// anything, since tests send bad input on purpose. What the contract says of
// all answers in its introduction is checked of all.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"holdline"
)

// document loads the contract once, with every object of an answer closed.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(holdline.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("loading openapi.yaml: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	for _, s := range doc.Components.Schemas {
		closeObject(s.Value)
	}
	return doc, nil
})

// closeObject forbids the fields that a schema does not name. Clients must
// bear new fields, but this server must not send any that are not written down.
func closeObject(s *openapi3.Schema) {
	if s.Type.Is("object") && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		closed := false
		s.AdditionalProperties.Has = &closed
	}
}

// Document returns the contract, with the objects of answers closed to fields
// that it does not name.
func Document(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// CheckJSON fails t unless data is one JSON value that the named schema of the
// contract allows. It is for what HTTP bodies do not show to Transport: the
// data lines of a stream, for example, are "Event".
func CheckJSON(t testing.TB, schema string, data []byte) {
	t.Helper()
	if err := checkSchema(schema, data); err != nil {
		t.Errorf("%v", err)
	}
}

func checkSchema(schema string, data []byte) error {
	doc, err := document()
	if err != nil {
		return err
	}
	ref := doc.Components.Schemas[schema]
	if ref == nil {
		return fmt.Errorf("the contract has no schema %s", schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return fmt.Errorf("%s is not JSON: %w\n%s", schema, err, data)
	}
	if err := ref.Value.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
		return fmt.Errorf("not a %s by the contract: %w\n%s", schema, err, data)
	}
	return nil
}

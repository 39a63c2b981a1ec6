package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is what the contract says of one call, in the form that requests
// are checked against.
type operation struct {
	id     string
	public bool // needs no credentials
	ticket bool // a ticket will do
	stream bool // answers an event stream, whose endings are told inside a 200
	secret bool // answers a token, a ticket or a form token
	held   bool // may wait for news, so that no request timeout applies

	query map[string]param
	path  map[string]*rule

	body         *rule // nil: takes none
	bodyRequired bool
}

// param is a query parameter.
type param struct {
	*rule
	required bool
}

// loadContract reads the operations of an OpenAPI document, by operationId.
func loadContract(document []byte) (map[string]*operation, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("the contract is not valid: %w", err)
	}
	operations := make(map[string]*operation)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o, err := newOperation(doc, item, method, op)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			operations[o.id] = o
		}
	}
	return operations, nil
}

func newOperation(doc *openapi3.T, item *openapi3.PathItem, method string, op *openapi3.Operation) (*operation, error) {
	o := &operation{id: op.OperationID, query: map[string]param{}, path: map[string]*rule{}}
	security := doc.Security
	if op.Security != nil {
		security = *op.Security
	}
	o.public = len(security) == 0
	for _, alternative := range security {
		if _, ok := alternative["ticket"]; ok {
			o.ticket = true
		}
	}
	for _, p := range parametersOf(doc, item, method, op) {
		r, err := newRule(p.Schema.Value)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		switch p.In {
		case openapi3.ParameterInQuery:
			o.query[p.Name] = param{r, p.Required}
		case openapi3.ParameterInPath:
			o.path[p.Name] = r
		}
	}
	o.secret = answersSecret(op)
	if ok := op.Responses.Status(http.StatusOK); ok != nil {
		o.stream = ok.Value.Content.Get("text/event-stream") != nil
	}
	_, waits := o.query["wait"]
	o.held = o.stream || waits
	if op.RequestBody != nil {
		r, err := newRule(op.RequestBody.Value.Content.Get("application/json").Schema.Value)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		o.body, o.bodyRequired = r, op.RequestBody.Value.Required
	}
	return o, nil
}

// answersSecret reports whether an answer holds what the contract marks as x-secret.
func answersSecret(op *openapi3.Operation) bool {
	for _, answer := range op.Responses.Map() {
		media := answer.Value.Content["application/json"]
		if media == nil {
			continue
		}
		for _, property := range media.Schema.Value.Properties {
			if property.Value.Extensions["x-secret"] == true {
				return true
			}
		}
	}
	return false
}

// parametersOf are the parameters of a call: its own, and those that change the
// form of any answer. The latter stand among the components only, since clients
// generated from the contract expect the usual form: `x-taken` says by whom
// they are taken, and `x-compact` beside a schema that compact is.
func parametersOf(doc *openapi3.T, item *openapi3.PathItem, method string, op *openapi3.Operation) []*openapi3.Parameter {
	var all []*openapi3.Parameter
	for _, ref := range append(append(openapi3.Parameters{}, item.Parameters...), op.Parameters...) {
		all = append(all, ref.Value)
	}
	answersJSON := false
	for status, answer := range op.Responses.Map() {
		content := answer.Value.Content
		if status[0] != '2' {
			continue
		}
		answersJSON = answersJSON || len(content) == 0 || content["application/json"] != nil
		if media := content["application/json"]; media != nil && media.Extensions["x-compact"] != nil {
			all = append(all, doc.Components.Parameters["Compact"].Value)
		}
	}
	for _, ref := range doc.Components.Parameters {
		switch ref.Value.Extensions["x-taken"] {
		case "answers-json":
			if answersJSON {
				all = append(all, ref.Value)
			}
		case "post":
			if method == http.MethodPost {
				all = append(all, ref.Value)
			}
		}
	}
	return all
}

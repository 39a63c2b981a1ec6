// Package holdline carries the API contract; everything else is in its subfolders.
package holdline

import _ "embed"

// OpenAPI is openapi.yaml, the contract that the server interface and the SDKs are generated from.
//
//go:embed openapi.yaml
var OpenAPI []byte

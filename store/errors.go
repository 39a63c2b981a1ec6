package store

import (
	"errors"
	"fmt"
)

// Code is the stable, machine-readable name of a failure: the `code` of a problem.
type Code string

// Codes that the store returns.
const (
	CodeNotFound       Code = "not_found"        // also: exists, but is not the caller's to see
	CodeConflict       Code = "conflict"         // the state forbids it (fixed members, beyond the end)
	CodeForbidden      Code = "forbidden"        // a member, but not in a role that may
	CodeInvalid        Code = "invalid"          // a field breaks a rule; Field names it
	CodeHandleTaken    Code = "handle_taken"     //
	CodeClientIDReused Code = "client_id_reused" // same client_id, other content
	CodeUnauthorized   Code = "unauthorized"     // session ended or user disabled
	CodeOverloaded     Code = "overloaded"       // certainly not stored; retry later
	CodeUnavailable    Code = "unavailable"      // database unreachable or row held; certainly not stored
	CodeOutcomeUnknown Code = "outcome_unknown"  // may or may not be stored; retry with the same client_id
	CodeStorageFull    Code = "storage_full"     // certainly not stored
	CodeCursorReset    Code = "cursor_reset"     // cursor ahead of the log or of another epoch
	CodeUnknownMember  Code = "unknown_member"   // a named handle does not exist; Field names it
	CodeInternal       Code = "internal"         //
)

// Error is a failure with a meaning for the caller. Message is for people and
// never holds secrets; Err, if set, is for the log only.
type Error struct {
	Code    Code
	Field   string // the request field at fault, as named on the wire; empty if none
	Message string
	Err     error
}

func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a field or cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal for
// any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
